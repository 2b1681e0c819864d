"""The rule of the verdicts: made from planted cases, measured on others, said in words."""

import json
from dataclasses import replace

import numpy as np
import pytest

from menon.core.errors import ConfigError, DataError
from menon.tracing import verdict as verdicts
from menon.tracing.calibrating import PlantedCase, calibrate, halves, thresholds
from menon.tracing.features import QueryFeatures, query_features
from menon.tracing.verdict import Calibration, Label, effect_words, judge, percent

DOCUMENTS = 400


def planted(kind: Label, number: int, *, informative: bool = True) -> PlantedCase:
    """A memorised answer has a few strong documents that hold question and answer; a procedure has many weak ones."""
    rng = np.random.default_rng([number, kind is Label.RETRIEVED])
    scores = rng.normal(0, 0.2, DOCUMENTS)
    answer, overlap = rng.random(DOCUMENTS) < 0.05, 0.3 * rng.random(DOCUMENTS)
    if informative:
        if kind is Label.RETRIEVED:
            own = rng.choice(DOCUMENTS, 6, replace=False)
            scores[own] += rng.exponential(2.0, 6)
            answer[own], overlap[own] = True, 1.0
        else:
            scores[rng.choice(DOCUMENTS, 80, replace=False)] += rng.exponential(0.5, 80)
    lexical = overlap + 0.1 * rng.random(DOCUMENTS)
    features = query_features(scores, answer=answer, overlap=overlap, lexical=lexical, groups=np.arange(DOCUMENTS))
    return PlantedCase(name=f"{kind}-{number}", kind=kind, features=features)


def cases(number: int, *, informative: bool = True, first: int = 0) -> list[PlantedCase]:
    kinds = (Label.RETRIEVED, Label.PROCEDURAL)
    return [planted(kind, n, informative=informative) for n in range(first, first + number) for kind in kinds]


@pytest.fixture(scope="module")
def rule() -> Calibration:
    return calibrate(cases(60))


def test_planted_cases_are_told_apart(rule: Calibration) -> None:
    assert 1 <= len(rule.features) <= 3
    assert (rule.fitted, rule.checked) == (60, 60)
    assert rule.p <= 0.01
    for label in (Label.RETRIEVED, Label.PROCEDURAL):
        error = rule.errors[label]
        assert error is not None
        assert error.value <= 0.1
        assert rule.right[label].value >= 0.8
        assert rule.wrong[label].value <= 0.1


def test_measured_errors_hold_for_new_cases(rule: Calibration) -> None:
    fresh = cases(150, first=1000)
    given = [judge(case.features, rule) for case in fresh]
    for label in (Label.RETRIEVED, Label.PROCEDURAL):
        got = [case.kind is not label for case, verdict in zip(fresh, given, strict=True) if verdict.label is label]
        error = rule.errors[label]
        assert error is not None
        assert np.mean(got) <= error.high


@pytest.mark.parametrize("first", [0, 200, 400, 600, 800])
def test_features_without_information_give_unclear(first: int) -> None:
    rule = calibrate(cases(40, informative=False, first=first))
    firm = [judge(case.features, rule).label is not Label.UNCLEAR for case in cases(50, informative=False, first=5000)]
    assert np.mean(firm) <= 0.1


def test_random_labels_seldom_make_a_rule() -> None:
    """The search over features is repeated for random labels, so it cannot find a rule by trying many."""
    rng = np.random.default_rng(12)
    pool = cases(20, informative=False)
    made = 0
    for _ in range(60):
        kinds = rng.permutation([case.kind for case in pool])
        made += bool(calibrate([replace(c, kind=Label(k)) for c, k in zip(pool, kinds, strict=True)]).features)
    assert made <= 3


def test_fitted_errors_stay_within_the_limit() -> None:
    """A weak feature: firm verdicts only where the fitted cases are nearly pure."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        retrieved = np.repeat([True, False], 60)
        index = rng.normal(0.5 * retrieved, 0.35)
        found = thresholds(index, retrieved, 0.05)
        if found.retrieved_from is not None:
            beyond = index >= found.retrieved_from
            assert (beyond & ~retrieved).sum() <= 0.05 * min(60, beyond.sum())
        if found.procedural_to is not None:
            below = index <= found.procedural_to
            assert (below & retrieved).sum() <= 0.05 * min(60, below.sum())
        if found.retrieved_from is not None and found.procedural_to is not None:
            assert found.procedural_to < found.retrieved_from


def test_the_middle_of_a_gap_between_the_kinds_is_unclear() -> None:
    found = thresholds(np.array([0.8, 0.9, 0.1, 0.2]), np.array([True, True, False, False]), 0.05)
    assert found.retrieved_from == pytest.approx(0.6)
    assert found.procedural_to == pytest.approx(0.4)
    assert found.right == 4


def test_thresholds_stand_at_cases_of_their_kind_where_kinds_mix() -> None:
    index, retrieved = np.array([0.9, 0.8, 0.5, 0.6, 0.2, 0.1]), np.array([True, True, True, False, False, False])
    found = thresholds(index, retrieved, 0.05)
    assert (found.retrieved_from, found.procedural_to, found.right) == (0.8, 0.2, 4)


def test_limits_belong_to_the_firm_verdicts() -> None:
    rule = Calibration(features=("head_share",), retrieved_from=0.8, procedural_to=0.2)
    labels = [verdicts.decide(index, rule) for index in (0.8, 0.79, 0.5, 0.21, 0.2)]
    assert labels == [Label.RETRIEVED, Label.UNCLEAR, Label.UNCLEAR, Label.UNCLEAR, Label.PROCEDURAL]


def test_the_direction_is_fixed_in_advance() -> None:
    """Cases planted the wrong way round make no rule, though they separate perfectly."""
    swapped = {Label.RETRIEVED: Label.PROCEDURAL, Label.PROCEDURAL: Label.RETRIEVED}
    assert calibrate([replace(case, kind=swapped[case.kind]) for case in cases(40)]).features == ()


def test_halves_go_by_name_and_keep_groups_whole() -> None:
    pool = cases(20)
    fitted, checked = halves(pool)
    assert halves(pool[::-1]) == (fitted, checked)
    assert sorted(case.name for case in fitted + checked) == sorted(case.name for case in pool)
    for kind in (Label.RETRIEVED, Label.PROCEDURAL):
        assert sum(case.kind is kind for case in fitted) == 10
    grouped = [replace(case, group=f"g{number // 4}") for number, case in enumerate(pool)]
    sides = [{case.group for case in side} for side in halves(grouped)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 10


def test_calibration_survives_json(rule: Calibration) -> None:
    assert Calibration.from_json(json.loads(json.dumps(rule.to_json()))) == rule


@pytest.mark.parametrize(
    "change",
    [{"schema": 7}, {"features": ["size"]}, {"errors": None}, {"retrieved_from": "high"}, {"procedural_to": 2.0}],
    ids=["schema", "feature", "errors", "threshold", "order"],
)
def test_a_damaged_calibration_is_refused(rule: Calibration, change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="calibration"):
        Calibration.from_json({**rule.to_json(), **change})
    with pytest.raises(DataError, match="calibration"):
        Calibration.from_json({"schema": 1})


def test_the_shipped_calibration_can_be_read_if_there_is_one() -> None:
    shipped = verdicts.shipped()
    assert shipped is None or shipped.checked >= 16


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ([], "0 planted cases are retrieved"),
        ([case for case in cases(20) if case.kind is Label.RETRIEVED], "0 planted cases are procedural"),
        (cases(15), "at least 16 are needed"),
        ([*cases(20), planted(Label.RETRIEVED, 0)], "occur more than once"),
        ([*cases(20), replace(planted(Label.RETRIEVED, 99), kind=Label.UNCLEAR)], "no known kind"),
        (
            [replace(c, features=query_features(np.zeros(5))) if c.kind is Label.RETRIEVED else c for c in cases(20)],
            "20 planted cases are retrieved, 0 of them with a positive score",
        ),
    ],
    ids=["none", "one kind", "few", "repeated", "unknown kind", "all zero"],
)
def test_cases_that_cannot_make_a_rule_are_named(pool: list[PlantedCase], words: str) -> None:
    with pytest.raises(DataError, match=words):
        calibrate(pool)


def test_cases_without_a_score_are_counted_as_unclear() -> None:
    pool = cases(40)
    silent = query_features(np.zeros(5), answer=np.zeros(5, dtype=bool), overlap=np.zeros(5), lexical=np.zeros(5))
    muted = [replace(case, features=silent) if case.name.endswith(("1", "2")) else case for case in pool]
    rule = calibrate(muted)
    assert rule.right[Label.RETRIEVED].value <= 0.9
    assert rule.right[Label.RETRIEVED].n == rule.checked / 2


def features(**changes: object) -> QueryFeatures:
    answer = np.zeros(100, dtype=bool)
    answer[[0, 1, 2, 3, 4, 5, 6, 7]] = True
    scores = np.r_[4.0, np.full(9, 0.4), np.full(6, 0.4), -np.ones(84)]
    found = query_features(scores, answer=answer)
    return replace(found, **changes)  # type: ignore[arg-type]


RULE = Calibration(
    features=("answer_excess",),
    retrieved_from=0.5,
    procedural_to=0.1,
    errors={
        Label.RETRIEVED: verdicts.Interval(value=0.025, low=0.004, high=0.13, n=40),
        Label.PROCEDURAL: None,
    },
)


def test_a_verdict_states_its_evidence_and_its_error_rate() -> None:
    found = judge(features(), RULE)
    assert found.label is Label.RETRIEVED
    assert found.sentence == (
        "retrieved: 8 of the 10 most influential documents contain the answer (8 % of the corpus does) and the first "
        "carries 40 % of the positive influence; 1 of 40 such verdicts on planted cases was wrong (95 % interval 0.4 % "
        "to 13 %)"
    )
    assert found.to_json()["error_rate"] == {"value": 0.025, "low": 0.004, "high": 0.13, "n": 40}
    assert found.to_json()["features"]["answer_top"] == 0.8


def test_a_procedural_verdict_says_how_far_influence_is_spread() -> None:
    found = judge(features(answer_top=0.0, answer_excess=0.0), RULE)
    assert found.label is Label.PROCEDURAL
    assert found.sentence == (
        "procedural: 0 of the 10 most influential documents contain the answer (8 % of the corpus does) and the "
        "positive influence is spread as over 5 documents of equal weight; no planted case that the rule was tried on "
        "got this verdict, so its error rate is unknown"
    )
    assert found.to_json()["error_rate"] is None


def test_an_unclear_verdict_says_between_what() -> None:
    found = judge(features(answer_top=0.3, answer_excess=0.25), RULE)
    assert found.label is Label.UNCLEAR
    assert "is 0.25, above 0.1, up to which planted cases were procedural and below 0.5, from which" in found.sentence
    assert "3 of the 10 most influential documents contain the answer" in found.sentence


def test_near_copies_carry_their_influence_together() -> None:
    sentence = judge(features(group_share=0.9), RULE).sentence
    assert "one document with its near-copies carries 90 % of the positive influence" in sentence


@pytest.mark.parametrize(
    ("top", "share", "words"),
    [(1, 1.0, "the most influential document contains"), (1, 0.0, "the most influential document does not contain")],
)
def test_a_single_document_is_said_so(top: int, share: float, words: str) -> None:
    assert words in judge(features(top=top, answer_top=share), RULE).sentence


@pytest.mark.parametrize(
    ("found", "rule", "words"),
    [
        (features(), None, "unclear: the rule has not been calibrated on planted cases; 8 of the 10"),
        (query_features(np.zeros(4)), RULE, "unclear: no document has a positive score"),
        (query_features([1.0, 2.0]), RULE, "the rule needs what was not given here: answer_excess"),
        (features(), replace(RULE, features=(), retrieved_from=None), "could not be told apart"),
    ],
    ids=["no rule", "no score", "no answer", "no feature"],
)
def test_without_grounds_the_verdict_is_unclear(found: QueryFeatures, rule: Calibration | None, words: str) -> None:
    verdict = judge(found, rule)
    assert (verdict.label, verdict.index, verdict.error) == (Label.UNCLEAR, None, None)
    assert words in verdict.sentence


def test_nothing_is_retrieved_from_documents_that_do_not_contain_it() -> None:
    shape = replace(RULE, features=("head_share",), retrieved_from=0.3, procedural_to=None)
    assert judge(features(head_share=0.9), shape).label is Label.RETRIEVED
    verdict = judge(features(head_share=0.9, answer_top=0.0), shape)
    assert verdict.label is Label.UNCLEAR
    assert "no influential document contains this one" in verdict.sentence
    unknown = judge(features(head_share=0.9, answer_top=None, answer_corpus=None), shape)
    assert unknown.label is Label.RETRIEVED  # nothing was looked for, so nothing contradicts


def test_a_rule_made_on_many_documents_is_not_applied_to_few() -> None:
    assert judge(features(), replace(RULE, documents=200)).label is Label.RETRIEVED
    verdict = judge(features(), replace(RULE, documents=201))
    assert verdict.label is Label.UNCLEAR
    assert "the rule was made on rankings of 201 documents, and here are 100 (101 are needed)" in verdict.sentence


def test_a_rule_for_another_depth_is_refused() -> None:
    with pytest.raises(ConfigError, match="the 5 most influential documents; the rule was made for 10"):
        judge(query_features([1.0, 2.0], depth=5), RULE)


@pytest.mark.parametrize("change", [{"features": ("head_share",) * 4}, {"retrieved_from": 0.1}], ids=["four", "order"])
def test_an_impossible_rule_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(RULE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("score", "information", "documents", "words"),
    [
        (12.0, 0.9, 1000, "would have raised the answer's log-likelihood by 0.012 nats (1.3 % of its 0.9 nats)"),
        (-2400.0, 12.3, 1000, "would have lowered the answer's log-likelihood by 2.4 nats (20 % of its 12 nats)"),
        (1e-5, 0.9, 1000, "raised the answer's log-likelihood by 1.0e-08 nats (less than 0.1 % of its 0.9 nats)"),
        (0.0, 0.9, 1000, "would not have changed the answer's log-likelihood"),
        (12.0, 0.0, 1000, "raised the answer's log-likelihood by 0.012 nats"),
        (90000.0, 0.02, 1000, "by 90 nats (450,000 % of its 0.02 nats)"),
    ],
    ids=["raised", "lowered", "tiny", "zero", "certain", "huge"],
)
def test_effects_in_words(score: float, information: float, documents: int, words: str) -> None:
    found = effect_words(score, information, documents)
    assert found.startswith("one more copy of this document would ")
    assert found.endswith(words)


@pytest.mark.parametrize(("score", "information", "documents"), [(float("nan"), 1.0, 5), (1.0, -1.0, 5), (1.0, 1.0, 0)])
def test_effects_of_nonsense_are_refused(score: float, information: float, documents: int) -> None:
    with pytest.raises(ConfigError, match="need finite numbers"):
        effect_words(score, information, documents)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.0004, "less than 0.1 %"), (0.013, "1.3 %"), (0.02, "2 %"), (0.4, "40 %"), (0.9999, "99.9 %")],
)
def test_percentages_do_not_round_to_nothing(share: float, words: str) -> None:
    assert percent(share) == words

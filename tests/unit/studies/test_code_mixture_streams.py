"""Streams of documents and their blending: shares of tokens, what is in which stream, nothing held out among them."""

import pytest

from menon.problems.known.facts import facts
from menon.problems.known.forms import program
from menon.problems.known.values import KnownDocument
from menon.studies.code_mixture.questions import audited_problems, held_out
from menon.studies.code_mixture.recipe import STREAMS, CodeMixture, MixtureArm, MixturePhase, Tasks
from menon.studies.code_mixture.streams import Blend, Stream, phases_of
from menon.studies.known.training import encode, known_tokenizer

TASKS = Tasks()
COUNT = 400


def documents(stream: str) -> list[KnownDocument]:
    made = Stream(stream, TASKS, 7, "phase", 0)
    return [made.document(index) for index in range(COUNT)]


@pytest.fixture(scope="module")
def streams() -> dict[str, list[KnownDocument]]:
    return {stream: documents(stream) for stream in STREAMS}


def procedures(made: list[KnownDocument]) -> set[str]:
    return {name.removeprefix("procedure:") for d in made for name in d.teaches if name.startswith("procedure:")}


@pytest.mark.parametrize(
    ("stream", "forms", "groups"),
    [
        ("text", {"text", "statement"}, ("held_in",)),
        ("code", {"code"}, ("held_in", "code_only")),
        ("bare", {"code"}, ("held_in", "code_only")),
        ("commented", {"code"}, ("held_in", "code_only")),
        ("other", {"code"}, ("code_only",)),
        ("markup", {"markup"}, ("held_in",)),
        ("aligned", {"code"}, ("held_in",)),
        ("unaligned", {"code"}, ("held_in",)),
    ],
)
def test_every_stream_teaches_its_families_in_its_form(streams, stream: str, forms: set[str], groups: tuple[str, ...]):
    assert procedures(streams[stream]) == {name for group in groups for name in getattr(TASKS, group)}
    assert {d.form for d in streams[stream] if d.family != "prose"} <= forms | {"statement"}


def test_comments_are_where_they_are_asked_for(streams):
    def share(stream: str) -> float:
        return sum(d.comments for d in streams[stream]) / COUNT

    assert (share("bare"), share("commented"), share("aligned")) == (0, 1, 0)
    assert share("code") == pytest.approx(0.5, abs=0.1)
    assert not any("#" in d.text for d in streams["bare"])


def test_answers_have_no_working(streams):
    assert all(d.completion == f"#{d.answer}" and d.prompt.endswith(":") for d in streams["answers"])


def test_facts_are_those_that_are_asked(streams):
    told = {name for d in streams["text"] for name in d.teaches if name.startswith("fact:")}
    assert told <= {f"fact:{fact.name}" for fact in facts("frequent")[: TASKS.facts]}
    assert len(told) > TASKS.facts / 2


def test_aligned_pairs_hold_one_problem_and_unaligned_ones_two(streams):
    assert all(len(d.teaches) == 1 for d in streams["aligned"])
    assert all(len(d.teaches) == 2 for d in streams["unaligned"])


def test_nothing_that_is_asked_stands_in_a_stream(streams):
    names = (*TASKS.held_in, *TASKS.code_only, *TASKS.absent)
    asked = [problem for name in names for problem in held_out(name, 30)]
    asked += [variant for _, variants in audited_problems(TASKS) for variant in variants]
    texts = "\n".join(d.text for made in streams.values() for d in made)
    assert [p.question for p in asked if p.question in texts] == []
    programs = {program(p, comments=False).completion for p in asked}
    assert [d.text for d in (*streams["bare"], *streams["code"]) if d.completion in programs] == []


def test_originals_are_repeated_in_the_text(streams):
    questions = [alone[0].question for alone, _ in audited_problems(TASKS)]
    repeats = [sum(d.prompt == f"{question}=" for d in streams["text"]) for question in questions]
    assert sum(repeats) > len(questions) / 2
    assert max(repeats) > 1


def test_a_blend_has_its_shares_of_tokens_whenever_it_is_cut():
    blend = Blend({"text": 0.6, "aligned": 0.3, "other": 0.1}, TASKS, 7, "phase", 0)
    tokenizer = known_tokenizer()
    total = 0
    for index in range(600):
        total += len(encode(blend(index), tokenizer).ids)
    assert sum(blend.tokens.values()) == total
    assert {name: count / total for name, count in blend.tokens.items()} == pytest.approx(blend.mix, abs=0.01)


def test_a_blend_can_be_read_in_any_order():
    forwards = Blend({"text": 0.5, "code": 0.5}, TASKS, 3, "phase", 0)
    backwards = Blend({"text": 0.5, "code": 0.5}, TASKS, 3, "phase", 0)
    made = [forwards(index) for index in range(40)]
    assert [backwards(index) for index in reversed(range(40))] == made[::-1]
    assert [forwards(index) for index in range(40)] == made
    other = Blend({"text": 0.5, "code": 0.5}, TASKS, 4, "phase", 0)
    assert [other(index) for index in range(40)] != made


def test_arms_of_a_seed_read_the_same_text():
    alone = Blend({"text": 1.0}, TASKS, 3, "phase", 0)
    mixed = Blend({"text": 0.5, "code": 0.5}, TASKS, 3, "phase", 0)
    texts = [d for d in (mixed(index) for index in range(60)) if d.form != "code"]
    assert texts == [alone(index) for index in range(len(texts))]


def test_phases_split_the_tokens_of_an_arm_and_tuning_learns_answers_alone():
    recipe = CodeMixture(
        tokens=10_000,
        tuning_tokens=2_000,
        arms=(
            MixtureArm(name="text", title="", phases=(MixturePhase(mix={"text": 1.0}),)),
            MixtureArm(
                name="two",
                title="",
                phases=(MixturePhase(part=0.3, mix={"code": 1.0}), MixturePhase(part=0.7, mix={"text": 1.0})),
            ),
            MixtureArm(name="tuned", title="", after="text", phases=(MixturePhase(mix={"answers": 1.0}),)),
        ),
    )
    first, second = phases_of(recipe, recipe.arms[1], 0)
    assert (first.tokens, second.tokens) == (3_000, 7_000)
    assert first.documents(0).form == "code"
    (tuning,) = phases_of(recipe, recipe.arms[2], 0)
    assert (tuning.tokens, tuning.prompt_weight) == (2_000, 0.0)

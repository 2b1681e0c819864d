"""The loop with a learner that really trains and a sampler that writes what the test wants."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from standins import CUT, MENON, TRAIN, Pupil, Same, Writes, chain, loop, open_run, right, save_tiny, unsound, wrong

from menon import Problem
from menon.core.errors import Refused
from menon.store import Run
from menon.teaching.rows import Row
from menon.teaching.star import Round, encode_prompt

PROBLEMS = [chain(i) for i in range(8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def run(tmp_path: Path):
    with open_run(tmp_path / "run") as opened:
        yield opened


def teach(run: Run, folder: Path, writes: Writes, **options: Any) -> tuple[list[Round], Pupil]:
    problems: Sequence[Problem] = options.pop("problems", PROBLEMS)
    known = [*problems, *(p for part in options.get("parts", Same([])).per_round for p in part)]
    pupil = Pupil(folder, writes, known)
    return list(loop(run, pupil, problems, **options).rounds()), pupil


def text_of(pupil: Pupil, row: Row) -> tuple[str, str]:
    decode = pupil.tokenizer.decode
    return decode(row.ids[: row.prompt]), decode(row.ids[row.prompt :])


def even_right(problem: Problem, _sample: int, hinted: bool) -> str:
    """Right on every other problem, and on the rest when shown the answer."""
    return right(problem) if hinted or problem.index % 2 == 0 else wrong(problem)


def test_what_is_right_is_kept_and_what_failed_is_rationalised_without_the_hint(run: Run, folder: Path):
    rounds, pupil = teach(run, folder, even_right)
    first = rounds[0]
    assert (first.asked, first.right, first.kept, first.rationalised) == (8, 4, 8, 4)
    assert first.dropped == {"wrong": 4}
    shown = {r.key: r.prompt for r in pupil.scribe.asked}
    assert sum("(" in str(prompt) for prompt in shown.values()) == 4  # the hinted prompts do show the answer
    rows = pupil.trainings[0]["rows"]
    assert len(rows) == 8
    by_prompt = {MENON.prompt(p): p for p in PROBLEMS}
    for row in rows:
        prompt, completion = text_of(pupil, row)
        assert f"({by_prompt[prompt].answer})" not in prompt + completion
        assert completion == f"{right(by_prompt[prompt])}<end>"


def test_own_rows_are_exactly_the_sampled_ids_and_the_prompt_is_not_learnt(run: Run, folder: Path):
    _, pupil = teach(run, folder, even_right)
    stored = {r["problem"]: r for r in run.records("row", stage="star") if r["reason"] == "kept"}
    for row, record in zip(pupil.trainings[0]["rows"], stored.values(), strict=True):
        assert list(row.ids[row.prompt :]) == record["token_ids"]
        assert row.ids[: row.prompt] == encode_prompt(pupil.tokenizer, record["prompt"])
        assert (row.prompt_weight, row.weight) == (0.0, 1.0)
        assert row.ids[-1] == pupil.tokenizer.eos_token_id


def test_every_sample_of_every_round_is_one_explained_row(run: Run, folder: Path):
    rounds, _ = teach(run, folder, even_right, rounds=2)
    for number, report in enumerate(rounds, start=1):
        rows = list(run.records("row", stage="star", names_prefix=(number, "select")))
        assert len(rows) == 8 + 4
        assert sum(row["reason"] == "kept" for row in rows) == report.kept
        assert all(row["round"] == number and row["completion"] and row["prompt"] for row in rows)
        assert [row["hinted"] for row in rows] == [False] * 8 + [True] * 4


def test_shares_of_rationalisation_are_drawn_by_name(run: Run, folder: Path):
    never = lambda p, _, hinted: right(p) if hinted or p.index == 0 else wrong(p)  # noqa: E731
    problems = [chain(i) for i in range(60)]
    rounds, pupil = teach(run, folder, never, problems=problems, p_rationalization=0.4, arm="some")
    assert 10 < rounds[0].rationalised < 40
    again, _ = teach(run, folder, never, problems=problems, p_rationalization=0.4, arm="some", seed=0)
    assert again[0].rationalised == rounds[0].rationalised
    none, other = teach(run, folder, never, problems=problems, rationalize=False, arm="none")
    assert none[0].rationalised == 0
    assert not any(r.key.endswith("/hint") for r in other.scribe.asked)
    assert pupil.trainings


def test_each_round_starts_from_the_base(run: Run, folder: Path):
    """The weights of a round depend on its rows alone, not on what earlier rounds did to the model."""
    parts = Same([PROBLEMS[:4], PROBLEMS[4:]])
    only_right: Writes = lambda p, *_: right(p)  # noqa: E731
    _, two = teach(run, folder, only_right, rounds=2, accumulate=False, parts=parts, step_growth=1.0)
    with open_run(run.path.with_name("alone")) as other:
        # The order of batches is named by the round, so the lone round must be round 2 as well.
        lone = Pupil(folder, only_right, PROBLEMS)
        rows = two.trainings[1]["rows"]
        steps = two.trainings[1]["steps"]
        target = other.checkpoint("alone")
        star = loop(other, lone, PROBLEMS, accumulate=False).config
        list(lone.fit(rows, target, star, TRAIN, steps=steps, names=("star", 0, 2)))
        for a, b in zip(two._model().parameters(), lone._model().parameters(), strict=True):
            assert torch.equal(a, b)
    assert any(
        not torch.equal(a, b) for a, b in zip(two._model().parameters(), two.base.model.parameters(), strict=True)
    )


def test_going_on_instead_starts_from_the_last_round(run: Run, folder: Path):
    only_right: Writes = lambda p, *_: right(p)  # noqa: E731
    _, on = teach(run, folder, only_right, rounds=2, restart=False, arm="on")
    _, back = teach(run, folder, only_right, rounds=2, restart=True, arm="back")
    differ = zip(on._model().parameters(), back._model().parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in differ)


def test_rows_are_accumulated_replaced_or_replayed(run: Run, folder: Path):
    parts = Same([PROBLEMS[:4], PROBLEMS[4:6], PROBLEMS[6:]])
    only_right: Writes = lambda p, *_: right(p)  # noqa: E731

    def counts(**star: Any) -> list[int]:
        arm = "-".join(f"{key}-{value}" for key, value in star.items())
        _, pupil = teach(run, folder, only_right, rounds=3, parts=parts, arm=arm, **star)
        return [len(training["rows"]) for training in pupil.trainings]

    assert counts(accumulate=True) == [4, 6, 8]
    assert counts(accumulate=False) == [4, 2, 2]
    assert counts(accumulate=False, replay=0.5) == [4, 4, 4]


def test_replayed_rows_come_from_earlier_rounds_alone(run: Run, folder: Path):
    parts = Same([PROBLEMS[:4], PROBLEMS[4:]])
    _, pupil = teach(run, folder, lambda p, *_: right(p), rounds=2, parts=parts, accumulate=False, replay=0.25)
    prompts = [text_of(pupil, row)[0] for row in pupil.trainings[1]["rows"]]
    own, earlier = [MENON.prompt(p) for p in PROBLEMS[4:]], [MENON.prompt(p) for p in PROBLEMS[:4]]
    assert prompts[:4] == own
    assert len(prompts) == 5
    assert prompts[4] in earlier


def test_steps_grow_from_round_to_round_and_stop_at_so_many_epochs(run: Run, folder: Path):
    only_right: Writes = lambda p, *_: right(p)  # noqa: E731
    grown, _ = teach(run, folder, only_right, rounds=3, steps=10, step_growth=1.2, max_epochs=1e6, arm="grown")
    assert [report.steps for report in grown] == [10, 12, 14]
    few, pupil = teach(run, folder, only_right, steps=10_000, max_epochs=2, arm="few")
    tokens = sum(len(row.ids) for row in pupil.trainings[0]["rows"])
    assert few[0].steps == int(2 * tokens / TRAIN.tokens_per_batch) + 1
    assert few[0].trained_tokens >= tokens


@pytest.mark.parametrize(
    ("writes", "star", "told"),
    [
        (lambda p, *_: right(p) + CUT, {}, r"kept 0 of 8 samples \(8 truncated\); raise star.max_tokens"),
        (lambda p, *_: "41+2=43;", {}, "8 unparsed.*--style.*--exemplars"),
        (lambda p, *_: wrong(p), {}, "8 wrong.*easier questions"),
        (lambda p, *_: unsound(p), {}, "8 unsound step.*star.filter = 'answer'"),
        (
            lambda p, _, hinted: f"#{p.answer}" if hinted else wrong(p),
            {"rationalize": True, "filter": "answer", "samples": 1},
            "8 hint leaked.*star.rationalize = false",
        ),
        (lambda p, *_: None, {}, "8 error.*menon doctor"),
    ],
)
def test_nothing_kept_names_the_reason_and_what_to_change(
    run: Run, folder: Path, writes: Writes, star: dict[str, Any], told: str
):
    with pytest.raises(Refused, match=rf"round 1 {'' if 'kept' in told else 'kept 0 of .*'}{told}.*--force"):
        teach(run, folder, writes, **{"rationalize": False, **star})
    assert list(run.records("row", stage="star"))  # the rows that tell why are kept


def test_with_force_a_round_that_kept_nothing_leaves_the_model_as_it_was(run: Run, folder: Path):
    parts = Same([PROBLEMS[:4], PROBLEMS[4:]])
    writes: Writes = lambda p, *_: right(p) if p.index < 4 else wrong(p)  # noqa: E731
    rounds, pupil = teach(run, folder, writes, rounds=2, parts=parts, rationalize=False, force=True)
    first, second = rounds
    assert (second.kept, second.steps, second.trained_tokens, second.loss) == (0, 0, 0, None)
    assert second.checkpoint == first.checkpoint == "checkpoints/star-1"
    assert any("kept 0 of 4" in alarm and "stays as it was" in alarm for alarm in second.alarms)
    assert len(pupil.trainings) == 1
    assert pupil._folder == run.checkpoint("star-1")
    assert not run.checkpoint("star-2").exists()


def test_with_force_and_nothing_at_all_the_base_stays_current(run: Run, folder: Path):
    rounds, pupil = teach(run, folder, lambda p, *_: wrong(p), rationalize=False, force=True)
    assert rounds[0].checkpoint == ""
    assert pupil._model() is pupil.base.model


def test_alarms_tell_of_cut_offs_unsound_steps_leaks_and_few_rows(run: Run, folder: Path):
    def poor(problem: Problem, _sample: int, hinted: bool) -> str:
        if hinted:
            return f"#{problem.answer}"
        return [right(problem) + CUT, unsound(problem), wrong(problem)][problem.index % 3] + ""

    problems = [chain(i) for i in range(30)]
    one_good: Writes = lambda p, s, hinted: right(p) if p.index == 0 else poor(p, s, hinted)  # noqa: E731
    rounds, _ = teach(run, folder, one_good, problems=problems)
    text = " ".join(rounds[0].alarms)
    for told in ("cut off: raise star.max_tokens", "wrong step", "only repeat the hint", "samples were kept"):
        assert told in text
    assert len(rounds[0].alarms) == 4
    calm, _ = teach(run, folder, lambda p, *_: right(p), arm="calm")
    assert calm[0].alarms == ()


def test_controls_learn_answers_alone_or_reference_rationales(run: Run, folder: Path):
    _, direct = teach(run, folder, even_right, preset="direct", arm="direct", rounds=1)
    assert {text_of(direct, row) for row in direct.trainings[0]["rows"]} == {
        (f"{p.question}:", f"#{p.answer}<end>") for p in PROBLEMS
    }
    _, gold = teach(run, folder, even_right, preset="gold", arm="gold", rounds=1)
    assert {text_of(gold, row) for row in gold.trainings[0]["rows"]} == {
        (f"{p.question}=", f"{right(p)}<end>") for p in PROBLEMS
    }
    assert not direct.scribe.asked
    assert not gold.scribe.asked


def test_demonstrations_are_shown_when_sampling_and_left_out_of_what_is_learnt(run: Run, folder: Path):
    from menon.problems.prompts import STYLES

    style = STYLES.get("plain")
    shown = style.with_exemplars((chain(50),))
    first_only, pupil = teach(
        run, folder, lambda p, *_: right(p), style=style, few_shot=shown, few_shot_later=False, rounds=2
    )
    assert len(first_only) == 2
    prompts = [str(r.prompt) for r in pupil.scribe.asked]
    assert [("tom has 90 pens" in prompt) for prompt in prompts] == [True] * 8 + [False] * 8
    for row in pupil.trainings[0]["rows"]:
        assert "tom has 90 pens" not in text_of(pupil, row)[0]


def test_a_stopped_loop_goes_on_and_ends_in_the_same_weights(run: Run, folder: Path):
    whole, pupil = teach(run, folder, even_right, rounds=2)
    with open_run(run.path.with_name("stopped")) as other:
        for limit in (1, 2):
            part = Pupil(folder, even_right, PROBLEMS)
            steps = loop(other, part, PROBLEMS, rounds=2).rounds()
            again = [next(steps) for _ in range(limit)]
        for a, b in zip(pupil._model().parameters(), part._model().parameters(), strict=True):
            assert torch.equal(a, b)
        assert len(part.trainings) == 1  # the first round was read back, not trained again
        for one, two in zip(whole, again, strict=True):
            assert {**one.to_json(), "seconds": 0, "tokens_per_s": 0} == {
                **two.to_json(), "seconds": 0, "tokens_per_s": 0
            }  # fmt: skip
        assert run.fingerprint() == other.fingerprint()


def test_rows_longer_than_the_model_takes_are_left_out(run: Run, folder: Path):
    long = chain(3, question="tom has pens. " * 400 + "how many?")
    said: list[str] = []

    class Listener:
        def start(self, *_: Any, **__: Any) -> None: ...
        def advance(self, *_: Any, **__: Any) -> None: ...
        def say(self, message: str) -> None:
            said.append(message)

    _, pupil = teach(run, folder, even_right, preset="gold", problems=[*PROBLEMS, long], progress=Listener(), rounds=1)
    assert len(pupil.trainings[0]["rows"]) == 8
    assert "1 rows are longer than the 512 tokens" in said[-1]

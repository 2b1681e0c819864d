"""Completions of runs as queries and the rows of a STaR run as a corpus, on runs of the embedded model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from menon.core.errors import DataError, RunError
from menon.core.recipe import dump_toml
from menon.models.embedded import build_tokenizer
from menon.models.load import load_tokenizer
from menon.problems import FAMILIES
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking, evaluate
from menon.store import Run
from menon.studies.questions import FamilyQuestions
from menon.studies.recipe import Bootstrap
from menon.studies.solve import run_solve, solve_plan
from menon.studies.trace.run_queries import run_checkpoint, run_query, star_rows_corpus, stored_completions
from menon.teaching.config import StarConfig, TrainConfig
from menon.teaching.learner import Learner
from menon.teaching.rows import Row
from menon.teaching.star import Loop

MENON = STYLES.get("menon")
STAR = StarConfig(rounds=2, questions=8, steps=2, samples=1, max_tokens=60)
PROBLEMS = [FAMILIES.get("chain").problem("test", i, difficulty=2) for i in range(3)]


class Watched(Learner):
    """A learner that remembers what it was taught."""

    def fit(self, rows: Any, *args: Any, **options: Any) -> Iterator[Any]:
        taught.append(list(rows))
        return super().fit(rows, *args, **options)


taught: list[list[Row]] = []


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("menon:base")


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small rounds, test questions with working, and one asked without."""
    folder = tmp_path_factory.mktemp("runs") / "star"
    recipe = Bootstrap(star=STAR, train=TrainConfig(tokens_per_batch=128))
    learner = Watched("menon:base", device="cpu")
    with Run.create_or_resume(folder, recipe_toml=dump_toml(recipe), manifest={}) as run:
        questions = FamilyQuestions(families=("addition", "chain"), count=8, fresh=True, seed=0)
        loop = Loop(run=run, learner=learner, questions=questions, style=MENON, config=STAR, train=recipe.train)
        taught.clear()
        assert len(list(loop.rounds())) == 2
        asking = Asking(style=MENON, max_tokens=60)
        evaluate(run, learner.sampler, PROBLEMS, asking, stage="after", names=("test",))
        direct = Asking(style=MENON, direct=True, max_tokens=8)
        evaluate(run, learner.sampler, PROBLEMS, direct, stage="direct-test")
    return folder


@pytest.mark.parametrize("number", [1, 2, None])
def test_the_rows_of_a_round_are_what_its_model_was_taught(star: Path, tokenizer, number: int | None) -> None:
    corpus = star_rows_corpus(star, tokenizer, number, context=512)
    rows = taught[(number or 2) - 1]
    sequences = corpus.sequences(0, len(corpus))
    assert [(s.ids, s.prompt, s.prompt_weight) for s in sequences] == [(r.ids, r.prompt, r.prompt_weight) for r in rows]
    assert len(corpus) == len(rows) == corpus.notes.sequences > 2
    document = corpus.document(len(corpus) - 1)
    assert document.text.startswith(document.prompt)
    assert document.labels["round"] == str(number or 2)
    assert {d.labels["origin"] for d in corpus} <= {"rationale", "rationalization"}
    assert tokenizer.decode(sequences[0].ids) == corpus.document(0).text + "<end>"


def test_the_model_of_a_round_is_found(star: Path) -> None:
    assert run_checkpoint(star) == star / "checkpoints" / "star-2"
    assert run_checkpoint(star, 1) == star / "checkpoints" / "star-1"
    with pytest.raises(RunError, match="has no round 3 of 'star'; there are 1, 2"):
        run_checkpoint(star, 3)
    with pytest.raises(RunError, match="has no rounds of 'other'"):
        run_checkpoint(star, arm="other")
    with pytest.raises(RunError, match="not a run directory"):
        run_checkpoint(star / "checkpoints")


def test_any_completion_is_a_query_with_the_prompt_that_was_put(star: Path, tokenizer) -> None:
    with Run.open(star) as run:
        worked, direct = list(run.records("graded", stage="after")), list(run.records("graded", stage="direct-test"))
        hinted = [record for record in run.records("sample", stage="star") if record["hinted"]]
    for records, options in ((worked, {}), (direct, {"direct": True})):
        for record, problem in zip(records, PROBLEMS, strict=True):
            query = run_query(star, record["completion"][:10], tokenizer)
            assert query.id == record["completion"]
            assert query.prompt == MENON.prompt(problem, **options)
            assert query.prompt_ids == tuple(tokenizer(query.prompt).input_ids)
            assert query.completion_ids == tuple(record["token_ids"])
            assert (query.completion, query.labels["gold"]) == (record["text"], problem.answer)
            assert query.answer == (record["answer"] or problem.answer)
    for record in hinted[:3]:
        query = run_query(star, record["completion"], tokenizer)
        assert query.prompt == f"{record['question']}({record['gold']})="


def test_a_problem_names_its_completions(star: Path, tokenizer) -> None:
    with pytest.raises(DataError, match=r"2 completions are meant by.*\n  [0-9a-f]{20}  after: ") as caught:
        run_query(star, PROBLEMS[0].id[:12], tokenizer)
    assert len(str(caught.value).splitlines()) == 3
    with pytest.raises(DataError, match="no completion of .* begins with 'ffffffffff'"):
        run_query(star, "f" * 10, tokenizer)
    with pytest.raises(DataError, match="'abc' is too short"):
        run_query(star, "abc", tokenizer)


def test_another_tokenizer_is_noticed(star: Path) -> None:
    with Run.open(star) as run:
        wanted = next(iter(run.records("graded", stage="after")))["completion"]
    with pytest.raises(DataError, match=r"tokens when it is put again and \d+ on record"):
        run_query(star, wanted, build_tokenizer(["another text"]))


def test_prompts_that_a_probe_wrote_are_not_guessed(star: Path, tmp_path: Path, tokenizer) -> None:
    with Run.open(star) as run:
        record = next(iter(run.records("graded", stage="after")))
    record["key"] += "/loopholes/0/chain/items/own"
    with Run.create_or_resume(tmp_path / "audit", recipe_toml='study = "audit"\n', manifest={}) as run:
        run.unit("ask", 0, compute=lambda writer: writer.add("graded", record) or {})
    with pytest.raises(DataError, match="which the run does not keep"):
        run_query(tmp_path / "audit", record["completion"], tokenizer)
    with Run.create_or_resume(tmp_path / "none", recipe_toml='study = "audit"\n', manifest={}):
        pass
    with pytest.raises(DataError, match="keeps no completions"):
        run_query(tmp_path / "none", record["completion"], tokenizer)


def test_completions_of_a_solving_run_keep_their_prompts(tmp_path: Path, tokenizer) -> None:
    flags = {"strategy": "cot", "problems": "chain", "limit": 1}
    run_solve(solve_plan(flags=flags, out=tmp_path / "solve"))
    with Run.open(tmp_path / "solve") as run:
        (stored,) = stored_completions(run)
    query = run_query(tmp_path / "solve", stored.id[:6], tokenizer)
    assert query.prompt == f"{stored.question}="
    assert query.completion == stored.text
    assert query.answer in query.completion
    assert query.prompt_ids is not None
    assert query.completion_ids is None

"""How an audit asks: blocks are units, budgets and failures stop it, and nothing that was answered is asked again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from menon.auditing.items import Item, pair_items
from menon.auditing.probe import Answered, Question
from menon.auditing.verdict import AuditConfig
from menon.core.errors import SamplerError
from menon.core.progress import Silent
from menon.core.values import Completion, Grade, Problem, Request, Verdict
from menon.problems.prompts import STYLES
from menon.store import Run
from menon.studies.audit import items as shown
from menon.studies.audit.asking import Interview, Spent
from menon.studies.audit.recipe import BudgetSection
from menon.studies.audit.scores import gold_scores
from menon.studies.audit.tuning import tuning


@dataclass
class Sums:
    """Answers sums of the form "3+4"; requests whose question `fails` names end in an error."""

    name: str = "sums"
    fails: Callable[[str], bool] = lambda question: False
    asked: list[Request] = field(default_factory=list)

    def sample(self, requests: Iterable[Request], *, progress: Any = None) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            question = str(request.prompt).rstrip("=")
            first, second = map(int, question.split("+"))
            for sample in range(request.n):
                if self.fails(question):
                    yield Completion(
                        key=request.key,
                        sample=sample,
                        finish="error",
                        error=f"no answer to {question}",
                        model=self.name,
                    )
                    continue
                yield Completion(
                    key=request.key, sample=sample, text=f"#{first + second}", prompt_tokens=5, completion_tokens=2,
                    model=self.name,
                )  # fmt: skip


def question(number: int, *, answer: int | None = None, **more: Any) -> Question:
    gold = 2 * number if answer is None else answer
    problem = Problem(family="sum", question=f"{number}+{number}", answer=str(gold), grader="number")
    return Question(problem=problem, **{"task": "sum", "condition": "base10", **more})


def interview(run: Run, sampler: Any, *, block: int = 10, **limits: Any) -> Interview:
    return Interview(
        run=run,
        model="sums",
        sampler=lambda: sampler,
        style=STYLES.get("menon"),
        cot=True,
        max_tokens=20,
        block=block,
        spent=Spent(BudgetSection(**limits)),
        progress=Silent(),
    )


@pytest.fixture
def open_run(tmp_path: Path) -> Iterator[Callable[[], Run]]:
    opened: list[Run] = []

    def open_again() -> Run:
        for run in opened:
            run.close()
        opened.append(Run.create_or_resume(tmp_path / "run", recipe_toml='study = "audit"\n', manifest={}))
        return opened[-1]

    yield open_again
    for run in opened:
        run.close()


OpenRun = Callable[[], Run]


def asked_numbers(sampler: Sums) -> list[int]:
    return [int(str(request.prompt).split("+")[0]) for request in sampler.asked]


def test_blocks_are_units_and_are_read_back(open_run: OpenRun):
    questions = [question(i) for i in range(25)]
    sampler = Sums()
    run = open_run()
    talk = interview(run, sampler)
    first = talk.ask(questions, "probe")
    assert [unit.names for unit in run.units("ask")] == [("probe", 0), ("probe", 1), ("probe", 2)]
    assert [a.question for a in first] == questions
    assert all(a.grade.right and a.model == "sums" for a in first)
    assert (talk.spent.questions, talk.spent.prompt_tokens, talk.spent.sampled_tokens) == (25, 125, 50)

    def refuse() -> Any:
        raise AssertionError("the model is opened although everything is stored")

    again = interview(open_run(), sampler)
    again.sampler = refuse
    assert again.ask(questions, "probe") == first
    assert again.spent.questions == 25
    assert len(sampler.asked) == 25


def test_a_killed_audit_asks_only_what_is_missing(open_run: OpenRun):
    class Killed(Sums):
        def sample(self, requests: Iterable[Request], *, progress: Any = None) -> Iterator[Completion]:
            if len(self.asked) >= 20:
                raise KeyboardInterrupt
            return super().sample(requests, progress=progress)

    questions = [question(i) for i in range(25)]
    with pytest.raises(KeyboardInterrupt):
        interview(open_run(), Killed()).ask(questions, "probe")
    rest = Sums()
    resumed = interview(open_run(), rest).ask(questions, "probe")
    assert asked_numbers(rest) == [20, 21, 22, 23, 24]
    assert [a.question for a in resumed] == questions


def test_a_budget_stops_inside_a_block_and_over_probes(open_run: OpenRun):
    sampler = Sums()
    talk = interview(open_run(), sampler, questions=17)
    assert len(talk.ask([question(i) for i in range(12)], "one")) == 12
    assert talk.unfinished == []
    assert len(talk.ask([question(i) for i in range(100, 112)], "two")) == 5
    assert talk.ask([question(1)], "three") == []
    assert talk.unfinished == ["two", "three"]
    assert len(sampler.asked) == talk.spent.questions == 17
    assert talk.spent.left == 0


def test_a_budget_of_tokens_or_money_is_looked_at_after_small_blocks(open_run: OpenRun):
    sampler = Sums()
    talk = interview(open_run(), sampler, block=500, tokens=300)
    answered = talk.ask([question(i) for i in range(400)], "probe")
    assert 300 / 7 <= len(answered) <= 300 / 7 + 32
    assert talk.unfinished == ["probe"]


def test_equal_questions_of_a_block_are_asked_once(open_run: OpenRun):
    sampler = Sums()
    questions = [question(3, pair="a"), question(4), question(3, pair="b"), question(3, condition="base9", pair="c")]
    talk = interview(open_run(), sampler)
    answered = talk.ask(questions, "probe")
    assert asked_numbers(sampler) == [3, 4, 3], "another condition is another question"
    assert sorted(a.question.pair for a in answered) == ["", "a", "b", "c"]
    assert talk.spent.questions == 3


def test_seeds_depend_on_the_question_and_not_on_who_asks_or_when(open_run: OpenRun):
    talk = interview(open_run(), Sums())
    one, two = talk.request(question(3), "probe", 0), talk.request(question(3), "other", 7)
    assert one.seed == two.seed
    assert one.key != two.key
    assert talk.request(question(4), "probe", 0).seed != one.seed


def test_a_question_may_bring_its_own_prompt_samples_and_limits(open_run: OpenRun):
    talk = interview(open_run(), Sums())
    own = talk.request(question(3, prompt="3+3", stop=("x",), samples=4, max_tokens=7, temperature=0.5), "probe")
    assert (own.prompt, own.stop, own.n, own.max_tokens, own.temperature) == ("3+3", ("x",), 4, 7, 0.5)
    usual = talk.request(question(3), "probe")
    assert (usual.prompt, usual.n, usual.max_tokens, usual.temperature) == ("3+3=", 1, 20, 0.0)
    answered = talk.ask([question(3, samples=4, temperature=0.5)], "samples")
    assert [a.completion.sample for a in answered] == [0, 1, 2, 3]
    assert talk.spent.prompt_tokens == 5, "the samples of a question share its prompt"


def test_a_block_without_any_answer_is_not_stored(open_run: OpenRun):
    down = Sums(fails=lambda text: int(text.split("+")[0]) >= 10)
    run = open_run()
    talk = interview(run, down)
    answered = talk.ask([question(i) for i in range(30)], "probe")
    assert len(answered) == 10
    assert talk.trouble == "no answer to 10+10"
    assert talk.unfinished == ["probe"]
    assert len(down.asked) == 20, "the third block is not tried"
    assert [unit.names for unit in run.units("ask")] == [("probe", 0)]
    up = Sums()
    assert len(interview(open_run(), up).ask([question(i) for i in range(30)], "probe")) == 30
    assert asked_numbers(up) == list(range(10, 30))


def test_a_model_that_is_gone_is_not_asked_for_ever_but_what_is_stored_is_read(open_run: OpenRun):
    later = [question(i) for i in range(200, 205)]
    interview(open_run(), Sums()).ask(later, "later")
    gone = Sums(fails=lambda text: True)
    talk = interview(open_run(), gone)
    for number, name in enumerate(("one", "two", "three", "four")):
        assert talk.ask([question(10 * number + i) for i in range(10)], name) == []
    assert len(gone.asked) == 20, "two blocks in a row are enough"
    assert len(talk.ask(later, "later")) == 5
    assert talk.spent.questions == 5


def test_failed_requests_of_a_stored_block_are_asked_again_once_per_command(open_run: OpenRun):
    questions = [question(i) for i in range(10)]
    flaky = Sums(fails=lambda text: text in ("3+3", "5+5"))
    first = interview(open_run(), flaky).ask(questions, "probe")
    assert [a.grade.verdict for a in first].count(Verdict.ERROR) == 2
    assert len(flaky.asked) == 10, "the sampler has tried often enough itself"
    still = Sums(fails=lambda text: text == "3+3")
    second = interview(open_run(), still).ask(questions, "probe")
    assert asked_numbers(still) == [3, 5]
    assert [a.question for a in second] == questions
    assert [a.question.problem.question for a in second if a.completion.error] == ["3+3"]
    mended = Sums()
    third = interview(open_run(), mended).ask(questions, "probe")
    assert asked_numbers(mended) == [3]
    assert all(a.grade.right for a in third)
    assert {r.key: r.seed for r in mended.asked}.items() <= {r.key: r.seed for r in flaky.asked}.items()
    untouched = Sums()
    assert interview(open_run(), untouched).ask(questions, "probe") == third
    assert untouched.asked == []


# Items of the report


def graded(text: str, verdict: Verdict = Verdict.RIGHT, number: int = 1, **more: Any) -> Answered:
    completion = Completion(key=f"k{number}", text=text, **more)
    return Answered(
        question=question(number), completion=completion, grade=Grade(verdict=verdict, answer=text), model="m"
    )


def test_an_item_is_cut_in_the_middle_and_says_by_how_much():
    item = shown.item_json(graded("a" * 3000 + "b" * 3000))
    assert item["text"].startswith("a" * 2000)
    assert item["text"].endswith("b" * 2000)
    assert "2,000 characters left out" in item["text"]
    assert len(item["answer"]) < 500
    short = shown.item_json(graded("#2"))
    assert (short["text"], short["answer"], short["gold"], short["verdict"]) == ("#2", "#2", "2", "right")


def test_an_item_tells_why_a_request_failed():
    item = shown.item_json(graded("", Verdict.ERROR, finish="error", error="status 500"))
    assert item["note"] == "status 500"


@pytest.mark.parametrize(("count", "kinds"), [(0, 0), (1, 1), (3, 3), (4, 3), (100, 3)])
def test_items_of_a_cell_show_every_verdict_before_a_second_of_one(count: int, kinds: int):
    verdicts = [Verdict.RIGHT] * 20 + [Verdict.WRONG] * 2 + [Verdict.UNPARSED]
    answered = [graded(f"t{i}", verdict, i) for i, verdict in enumerate(verdicts)]
    chosen = shown._spread(answered, count)
    assert len(chosen) == min(count, len(answered))
    assert len({a.grade.verdict for a in chosen}) == kinds
    assert chosen == shown._spread(list(reversed(answered)), count), "the order of the answers decides nothing"


def test_pairs_that_changed_most_come_first():
    def problem(name: str, role: str) -> Problem:
        return Problem(family="sum", question=f"{name} {role}", answer="1")

    answered, items = [], []
    for name, original, fresh in (("same", True, True), ("lost", True, False), ("gained", False, True)):
        first, second = problem(name, "original"), problem(name, "fresh")
        for entry, right, of in ((first, original, ""), (second, fresh, first.id)):
            grade = Grade(verdict=Verdict.RIGHT if right else Verdict.WRONG)
            role: Any = "fresh" if of else "original"
            asked = Question(problem=entry, task="sum", condition=role, role=role, of=of)
            answered.append(Answered(question=asked, completion=Completion(key=entry.id), grade=grade))
            items.append(Item(problem=entry, grade=grade, role=role, of=of))
    found = shown.pair_items(pair_items(items), answered, 3)
    assert [pair["original"]["question"].split()[0] for pair in found] == ["lost", "same", "gained"]
    assert [len(pair["variants"]) for pair in found] == [1, 1, 1]
    assert len(shown.pair_items(pair_items(items), answered, 1)) == 1


# Two models


def outcomes(
    rights: Sequence[bool], *, condition: str = "fresh", first: int = 0, control: bool = False
) -> list[Answered]:
    return [
        Answered(
            question=question(first + i, condition=condition, control=control),
            completion=Completion(key=str(i)),
            grade=Grade(verdict=Verdict.RIGHT if right else Verdict.WRONG),
        )
        for i, right in enumerate(rights)
    ]


def test_tuning_that_costs_reasoning_is_seen_and_paired():
    before, after = [True] * 40 + [False] * 10, [True] * 20 + [False] * 30
    found = tuning({"worlds": outcomes(before)}, {"worlds": outcomes(after)}, AuditConfig())
    (row,) = found["rows"]
    assert (row["lost"], row["gained"], row["n"]) == (20, 0, 50)
    assert row["difference"] == pytest.approx(-0.4)
    assert row["p"] == pytest.approx(2 * 0.5**20), "McNemar: 20 of 20 that changed went one way"
    assert row["distinguishable"]
    assert found["sentence"] == "Compared with the first model, the second is lower by 40 points (sum, fresh)."


def test_tuning_is_adjusted_over_all_cells():
    one = [*outcomes([True] * 50, condition="a"), *outcomes([True] * 50, condition="b")]
    two = [*outcomes([False] * 6 + [True] * 44, condition="a"), *outcomes([True] * 50, condition="b")]
    alone = tuning({"w": outcomes([True] * 50)}, {"w": outcomes([False] * 6 + [True] * 44)}, AuditConfig())
    both = tuning({"w": one}, {"w": two}, AuditConfig())
    by_condition = {row["condition"]: row for row in both["rows"]}
    assert alone["rows"][0]["p_adjusted"] == pytest.approx(0.03125)
    assert by_condition["a"]["p_adjusted"] == pytest.approx(0.0625)
    assert both["sentence"] == "On none of 2 cells can the two models be told apart."


def test_only_what_both_models_answered_is_compared():
    first = {"worlds": outcomes([True] * 30), "minds": outcomes([True] * 5)}
    second = {"worlds": outcomes([True] * 10, first=20), "analogies": outcomes([True] * 5)}
    (row,) = tuning(first, second, AuditConfig())["rows"]
    assert row["n"] == 10
    assert tuning(first, {}, AuditConfig()) == {
        "rows": [],
        "sentence": "The two models answered no question in common.",
    }


# Log-likelihoods of gold answers


class Scorer(Sums):
    """Scores a gold answer by its length, a nat for each character."""

    def score(self, prompt: str, continuation: str) -> list[float]:
        self.asked.append(Request(key=prompt, prompt=prompt, seed=0))
        return [-1.0] * (len(continuation) - 1) + [-3.0]


class Mute(Sums):
    def score(self, prompt: str, continuation: str) -> list[float]:
        raise SamplerError("the server does not offer `echo`")


def pairs() -> list[Any]:
    original, fresh = question(1).problem, question(2).problem
    right = Grade(verdict=Verdict.RIGHT)
    return pair_items(
        [
            Item(problem=original, grade=right, role="original"),
            Item(problem=fresh, grade=right, role="fresh", of=original.id),
        ]
    )


def test_gold_scores_are_means_per_token_and_stored(open_run: OpenRun):
    scorer = Scorer()
    found = gold_scores(interview(open_run(), scorer), "sum", pairs())
    assert found is not None
    for problem in (question(1).problem, question(2).problem):
        length = len(STYLES.get("menon").completion(problem, "", problem.answer, direct=True))
        assert length > 1
        assert found[problem.id] == pytest.approx(-(length + 2) / length), "the mean of -1, ..., -1, -3"
    assert gold_scores(interview(open_run(), Mute()), "sum", pairs()) == found, "read back, not asked again"
    assert len(scorer.asked) == 2


def test_a_model_without_log_probabilities_has_no_gold_scores(open_run: OpenRun):
    assert gold_scores(interview(open_run(), Mute()), "sum", pairs()) is None

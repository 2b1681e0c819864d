"""The overthinking probe gives the metrics of traces made with known ones, and budgets hold whatever a backend does."""

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from menon.auditing.probe import Answered, Material, Question
from menon.auditing.probes.overthinking import BUDGETS, CURVE, EFFICIENCY, OVERTHINKING, problems_for
from menon.auditing.thinking.budgets import BudgetPlan, ask_within, close_thinking, closing_phrase
from menon.auditing.thinking.efficiency import thinking_of
from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.seeds import rng_for
from menon.core.values import Completion, Message, Problem, Request
from menon.grading import grade
from menon.problems.prompts import STYLES
from menon.sampling.endpoint import EndpointSampler
from menon.sampling.protocol import SILENT, failed

GOLD = Problem(family="pens", question="3 boxes of 12 pens, 4 are lost. how many?", answer="32", grader="number")
PLAIN = STYLES.get("plain")


def answered(text: str, problem: Problem = GOLD, *, tokens: int = 0, **more: Any) -> Answered:
    completion = Completion(key=problem.id, text=text, completion_tokens=tokens, **more)
    question = Question(problem=problem, task=problem.family, condition="as given")
    return Answered(question=question, completion=completion, grade=grade(problem, completion), model="m")


def block(words: int, equation: str, answer: int) -> str:
    """Write one solution of exactly `words` words."""
    filler = "word " * (words - 4 - len(equation.split()))
    return f"{filler}{equation} the answer is {answer}"


def test_metrics_of_a_hand_written_trace():
    """10 words wrong, 20 words right with a new equation, 10 words that repeat it, 10 words ending wrong."""
    blocks = [
        block(10, "3*12=35", 31),
        block(20, "3*12=36", 32),
        block(10, "3*12=36", 32),
        block(10, "36-5=31", 31),
    ]
    item = answered(". ".join(blocks) + "\n#### 31")
    found = thinking_of(item)
    assert [s.answer for s in found.solutions] == ["31", "32", "32", "31"]
    assert found.tokens == 52
    assert found.outcome == pytest.approx(30 / 52, abs=0.02)
    assert found.process == pytest.approx(42 / 52, abs=0.02)
    assert found.first_right == pytest.approx(30 / 52, abs=0.02)
    assert found.talked_out
    assert not found.found_late


def brute_force(plan: list[tuple[int, str, int]], right: int) -> tuple[float, float]:
    """Outcome and process efficiency from the plan of a trace, straight from the paper's formulas."""
    total = sum(words for words, _, _ in plan)
    until, outcome = 0, 0.0
    for words, _, answer in plan:
        until += words
        if answer == right:
            outcome = until / total
            break
    seen: set[str] = set()
    distinct = 0
    for words, equation, _ in plan:
        distinct += words if equation not in seen else 0
        seen.add(equation)
    return outcome, distinct / total


@pytest.mark.parametrize("number", range(40))
def test_metrics_equal_those_computed_from_the_plan_of_a_random_trace(number: int):
    rng = rng_for("test", "overthinking", number)
    plan: list[tuple[int, str, int]] = []
    for _ in range(rng.randint(1, 8)):
        left = rng.randint(1, 3)
        plan.append((rng.randint(8, 60), f"{left}+1={left + 1}", rng.choice((31, 32, 33))))
    item = answered(". ".join(block(*part) for part in plan) + ".")
    found = thinking_of(item)
    outcome, process = brute_force(plan, 32)
    assert [s.answer for s in found.solutions] == [str(answer) for _, _, answer in plan]
    assert found.outcome == pytest.approx(outcome)
    assert found.process == pytest.approx(process)
    final = plan[-1][2]
    assert found.talked_out == (final != 32 and any(answer == 32 for _, _, answer in plan))
    assert found.found_late == (final == 32 and plan[0][2] != 32)


def test_single_solutions_have_process_efficiency_1_and_outcome_efficiency_equal_to_accuracy():
    material = Material(model="m", per_cell=20)
    items = []
    for place, problem in enumerate(problems_for(material, 40)):
        gold = int(problem.answer) + (place % 4 == 0)
        items.append(answered(f"{problem.rationale}\n#### {gold}\nI hope that helps.", problem, tokens=30))
    report = OVERTHINKING.report(items, [], material)
    rows = {row["measure"]: row for row in report.tables[EFFICIENCY]}
    assert rows["accuracy"]["value"] == 0.75
    assert rows["outcome efficiency"]["value"] == 0.75
    assert rows["process efficiency"]["value"] == 1
    assert rows["solutions per answer"]["value"] == 1
    assert rows["tokens per answer"]["value"] == 30
    assert "No answer holds more than one solution" in report.sentence
    assert report.finding is None
    assert not any(effect.primary or effect.p is not None for effect in report.effects)
    assert {effect.kind for effect in report.effects} == {"other"}


def test_planted_rates_are_found_again():
    """Of 60 answers 12 are talked out of a right solution, 18 find it late, 30 are right at once."""
    once, late = "3*12=36. The answer is 32.", "3*12=35. The answer is 31. Wait, 3*12=36. The answer is 32."
    lost = "3*12=36. The answer is 32. Hmm, 36-5=31. The answer is 31."
    items = [answered(text) for text in [once] * 30 + [late] * 18 + [lost] * 12]
    report = OVERTHINKING.report(items, [], Material(model="m"))
    rows = {row["measure"]: row for row in report.tables[EFFICIENCY]}
    assert rows["right, then talked out of it"]["value"] == pytest.approx(12 / 60)
    assert rows["found late"]["value"] == pytest.approx(18 / 48)
    assert rows["solutions per answer"]["value"] == pytest.approx(1.5)
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows.values())
    assert "20 %" in report.sentence


def test_cut_off_answers_are_not_called_talked_out():
    item = answered("The answer is 32. Wait, let me try 36-5=31", finish="length")
    found = thinking_of(item)
    assert found.found
    assert not found.talked_out
    rows = {
        row["measure"]: row["value"] for row in OVERTHINKING.report([item], [], Material(model="m")).tables[EFFICIENCY]
    }
    assert rows["right, then no final answer"] == 1
    assert "right, then talked out of it" not in rows


def test_failed_requests_and_no_answers_at_all():
    error = answered("", finish="error", error="500")
    assert "no answer" in OVERTHINKING.report([error], [], Material(model="m")).sentence
    assert "no answer" in OVERTHINKING.report([], [], Material(model="m", live=False)).sentence


class Thinker:
    """Works through the chain aloud, one line per step, and answers at once when its prompt ends in a closing phrase.

    It cannot answer before its working is done: closed early it states the last value that it has.
    """

    name = "thinker"

    def __init__(self, *, ignores: bool = False, mute: bool = False, opens: bool = False):
        self.ignores, self.mute, self.opens = ignores, mute, opens
        self.requests: list[Request] = []

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            self.requests.append(request)
            assert isinstance(request.prompt, str)
            yield self.closed(request) if request.key.endswith("/closed") else self.worked(request)

    def worked(self, request: Request) -> Completion:
        lines = self.lines(request)
        words = f"<think> {' '.join(lines)} </think> #### {lines[-1].partition('=')[2]}".split()
        kept = words if self.ignores else words[: request.max_tokens]
        cut = len(kept) < len(words)
        return Completion(
            key=request.key,
            text=" ".join(kept),
            finish="length" if cut else "stop",
            completion_tokens=len(kept),
            model=self.name,
        )

    def closed(self, request: Request) -> Completion:
        assert isinstance(request.prompt, str)
        written = request.prompt.rpartition("line")[2]
        assert written.count("</think>") == written.count("<think>")
        assert written.endswith("\n####")
        values = [line.partition("=")[2] for line in written.split() if "=" in line]
        text = " I cannot say" if self.mute else f" {values[-1] if values else 0}\nAnd the next question is 99"
        if self.opens:
            text = " <think> once more"
        return Completion(key=request.key, text=text, completion_tokens=3, model=self.name)

    def lines(self, request: Request) -> list[str]:
        problem = self.problems[request.key.partition("/")[0]]
        return [line for line in (problem.rationale or "").split(";") if line]

    def bind(self, problems: Iterable[Problem]) -> None:
        self.problems = {problem.id: problem for problem in problems}

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def measured(sampler: Any, **options: Any) -> tuple[list[dict[str, Any]], Material]:
    material = Material(
        model="thinker",
        per_cell=32,
        sampler=lambda: sampler,
        options={"budgets": [1, 3, 5, 64, 0], "longest": 100, "closing": 8, **options},
    )
    return list(OVERTHINKING.measure(material)), material


def test_accuracy_against_budget_is_that_of_the_steps_that_fit():
    """With b tokens b - 1 steps are written, so exactly the chains of at most b - 1 steps come out right."""
    sampler = Thinker()
    rows, material = measured(sampler)
    problems = {p.id: p for p in problems_for(material, 32)}
    assert len(rows) == 5 * 32
    for row in rows:
        steps = problems[row["problem"]].difficulty
        fits = row["budget"] == 0 or steps <= row["budget"] - 1
        reached = 0 if row["budget"] == 1 else min(row["budget"] - 1 if row["budget"] else 99, steps)
        value = 0 if not reached else int(Thinker.lines(sampler, _named(row))[reached - 1].partition("=")[2])
        assert row["right"] == (fits or str(value) == row["gold"])
        assert row["thinking_tokens"] <= (row["budget"] or 100)
        assert row["kept"]
    report = OVERTHINKING.report([], rows, material)
    table = report.tables[BUDGETS]
    assert [row["budget"] for row in table] == [1, 3, 5, 64, "unlimited"]
    assert [row["forced"] for row in table] == pytest.approx([1, 1, 26 / 32, 0, 0], abs=0.2)
    assert table[-1]["accuracy"] == table[-2]["accuracy"] == 1
    assert all(row["without_answer"] == 0 for row in table)
    accuracy = report.curves[CURVE][0]["points"]
    assert [point["value"] for point in accuracy] == sorted(point["value"] for point in accuracy)
    assert not any("ignored" in note for note in report.notes)
    for line in table:
        own = [row for row in rows if (row["budget"] or "unlimited") == line["budget"]]
        assert line["mean_tokens"] == pytest.approx(sum(r["thinking_tokens"] + r["closing_tokens"] for r in own) / 32)


def _named(row: dict[str, Any]) -> Request:
    return Request(key=row["problem"], prompt="", seed=0)


def test_a_backend_that_ignores_the_limit_is_told_and_its_surplus_cut():
    kept, _ = measured(Thinker())
    rows, material = measured(Thinker(ignores=True))
    report = OVERTHINKING.report([], rows, material)
    assert any("ignored the token limit" in note for note in report.notes)
    by_budget = {row["budget"]: row for row in report.tables[BUDGETS]}
    assert by_budget[1]["kept"] == 0
    assert by_budget[64]["kept"] == 1
    assert by_budget[1]["most_tokens"] > 1
    # The cut is by characters, so a step more or less may fit; the shortest budget leaves none.
    assert by_budget[1]["accuracy"] == pytest.approx(sum(r["right"] for r in kept if r["budget"] == 1) / 32, abs=0.01)
    assert by_budget[1]["accuracy"] < by_budget[64]["accuracy"] == 1


@pytest.mark.parametrize("kind", ["mute", "opens"])
def test_forced_answers_that_do_not_follow_are_counted(kind: str):
    rows, material = measured(Thinker(**{kind: True}))
    report = OVERTHINKING.report([], rows, material)
    first = report.tables[BUDGETS][0]
    assert first["without_answer"] == 1
    assert first["accuracy"] == 0
    assert any("closed by force gave no readable answer" in note for note in report.notes)


def test_failed_requests_are_left_out_of_the_curve():
    class Broken(Thinker):
        def worked(self, request: Request) -> Completion:
            return failed(request, 0, "500", model=self.name)

    rows, material = measured(Broken())
    report = OVERTHINKING.report([], rows, material)
    assert BUDGETS not in report.tables
    assert any("failed" in note for note in report.notes)


def test_chat_endpoints_are_asked_in_a_further_turn(monkeypatch: pytest.MonkeyPatch):
    """No text is continued on a chat endpoint: the draft is shown without its tags and the answer asked for."""
    sampler = EndpointSampler("http://127.0.0.1:1/v1", "m")
    asked: list[Request] = []

    def sample(requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            asked.append(request)
            if isinstance(request.prompt, str):
                yield Completion(key=request.key, reasoning="3*12=36, 36-4", finish="length", completion_tokens=4)
            else:
                yield Completion(key=request.key, text="\n#### 32", completion_tokens=3)

    monkeypatch.setattr(sampler, "sample", sample)
    plan = BudgetPlan(budgets=(4,), style=PLAIN, longest=10, closing=8)
    (row,) = ask_within(sampler, [GOLD], plan)
    assert row["right"]
    assert row["forced"]
    assert (row["thinking_tokens"], row["closing_tokens"]) == (4, 3)
    prompt = asked[1].prompt
    assert [m.role for m in prompt if isinstance(m, Message)] == ["user", "assistant", "user"]
    assert isinstance(prompt[1], Message)
    assert prompt[1].content == "3*12=36, 36-4"
    assert isinstance(prompt[2], Message)
    assert "####" in prompt[2].content


@pytest.mark.parametrize(
    ("style", "choices", "phrase"),
    [
        ("menon", (), "#"),
        ("gsm8k", (), "\n####"),
        ("plain", (), "\n####"),
        ("plain", ("cat", "cow"), "\nThe answer is ("),
        ("commonsenseqa", ("cat", "cow"), " Therefore, the answer is"),
    ],
)
def test_closing_phrases_come_from_the_style(style: str, choices: tuple[str, ...], phrase: str):
    problem = Problem(family="f", question="q", answer="A" if choices else "7", choices=choices)
    assert closing_phrase(STYLES.get(style), problem) == phrase


def test_open_thinking_is_closed_and_closed_thinking_left():
    assert close_thinking("<think>so") == "<think>so\n</think>\n"
    assert close_thinking("<think>so</think>yes") == "<think>so</think>yes"
    assert close_thinking("so") == "so"


@pytest.mark.parametrize(
    "options",
    [
        {"budgets": []},
        {"budgets": "64"},
        {"budgets": [64, 64]},
        {"budgets": [-1]},
        {"budgets": [9999]},
        {"closing": 0},
        {"longest": 0, "budgets": [0]},
        {"problems": 0},
        {"problems": "many"},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]):
    with pytest.raises(ConfigError, match="allowed"):
        measured(Thinker(), **options)


def test_recorded_answers_have_no_budgets_and_users_problems_are_asked():
    material = Material(model="m", live=False)
    assert list(OVERTHINKING.measure(material)) == []
    own = tuple(Problem(family="own", question=f"{n}+1?", answer=str(n + 1), grader="number") for n in range(9))
    questions = OVERTHINKING.questions(Material(model="m", problems=(*own, own[0]), per_cell=3))
    assert len(questions) == len({q.problem.id for q in questions}) == 6
    assert {q.condition for q in questions} == {"as given"}
    lengths = [q.problem.difficulty for q in OVERTHINKING.questions(Material(model="m", per_cell=8))]
    assert {lengths.count(steps) for steps in range(1, 9)} == {2}


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that thinks apart from its answer and never looks at `max_tokens`."""

    bodies: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append(body)
        if len(body["messages"]) == 1:
            thought = "12+12+12=36 and 36-4=32. The answer is 32. Wait, 36-5=31, so the answer is 31."
            message = {"role": "assistant", "content": "#### 31", "reasoning_content": thought}
        else:
            message = {"role": "assistant", "content": "#### 32"}
        used = {"prompt_tokens": 30, "completion_tokens": 40 if len(body["messages"]) == 1 else 4}
        answer = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": used}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_ignores_its_limit_is_held_to_it_all_the_same(address: str):
    """It talks itself out of the right answer in 40 tokens; cut off at 20 and asked for an answer, it is right."""
    sampler = EndpointSampler(address, "thinker")
    material = Material(
        model=address,
        sampler=lambda: sampler,
        problems=(GOLD,),
        options={"budgets": [20, 0], "longest": 100, "closing": 8},
    )
    rows = list(OVERTHINKING.measure(material))
    assert [(r["budget"], r["right"], r["forced"], r["kept"]) for r in rows] == [
        (20, True, True, False),
        (0, False, False, True),
    ]
    assert [(r["thinking_tokens"], r["closing_tokens"]) for r in rows] == [(40, 4), (40, 0)]
    question, draft, last = next(body["messages"] for body in Server.bodies if len(body["messages"]) == 3)
    assert question["content"].startswith(GOLD.question)
    assert draft["content"].startswith("12+12+12=36")
    assert "31" not in draft["content"]
    assert "####" in last["content"]

    (completion,) = sampler.sample([Request(key=GOLD.id, prompt=PLAIN.prompt(GOLD), seed=1)])
    item = Answered(
        question=Question(problem=GOLD, task="pens", condition="as given"),
        completion=completion,
        grade=grade(GOLD, completion),
    )
    report = OVERTHINKING.report([item], rows, material)
    values = {row["measure"]: row["value"] for row in report.tables[EFFICIENCY]}
    assert values["right, then talked out of it"] == 1
    assert values["tokens per answer"] == 40
    assert any("ignored the token limit in 1 of 2 requests (up to 40 tokens)" in note for note in report.notes)

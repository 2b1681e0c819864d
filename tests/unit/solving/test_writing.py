"""Charts that a model writes: taken out of its reply, refused with findings, mended, run, or replaced by a chain."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

import pytest

from menon.core.progress import Progress
from menon.core.values import Completion, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.executor import Executor
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.surroundings import Surroundings
from menon.grading.charts import chart_in
from menon.problems.prompts import PLAIN
from menon.sampling.protocol import SILENT
from menon.solving.library import library, load_strategy
from menon.solving.writing import chart_findings

GOOD = """\
# Twice

```mermaid
flowchart TD
    start([question]) --> half[half of it] --> twice[/double it/] --> done([answer])
```

## half

- writes: half (number)

```text
{question} Say half of it.
```

## twice

```python
answer = text(2 * half)
```
"""
WRITES, ASKS = "- writes: half (number)", "[half of it]"
TAKES_MORE = GOOD.replace("# Twice\n", "# Twice\n\n- takes: question (text), key (text)\n")
BROKEN = GOOD.replace("answer = text(2 * half)", "answer = text(2 * whole)")


class Writer:
    """Replies to the request for a program with the given texts in turn, to all else with `21`."""

    immediate = True
    name = "writer"

    def __init__(self, *replies: str):
        self.replies, self.asked = list(replies), list[str]()

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            assert isinstance(request.prompt, str)
            self.asked.append(request.prompt)
            if request.prompt.startswith("Write a flowchart program"):
                text = self.replies.pop(0)
            else:
                text = "#### 21" if "Think step by step" in request.prompt else "The answer is 21."
            yield Completion(key=request.key, text=text, model=self.name)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError

    @property
    def programs_asked(self) -> list[str]:
        return [prompt for prompt in self.asked if prompt.startswith("Write a flowchart program")]


def run(strategy: str, model: Writer, questions: Sequence[str] = ("how much?",)) -> list[Outcome]:
    async def work() -> list[Outcome]:
        executor = Executor(load_strategy(strategy), Surroundings(models=Models(model), style=PLAIN, grader="number"))
        many = {"questions": list(questions)} if strategy == "written_for_class" else {}
        return await executor.run_many([(question, {"question": question, **many}, None) for question in questions])

    return asyncio.run(work())


WRAPPED = f"Here it is:\n\n```markdown\n{GOOD}```\n\nIt doubles a half."


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"Sure! Here is the program.\n\n{GOOD}",
        WRAPPED,
        WRAPPED.replace("```markdown", "````md").replace("```\n\nIt", "````\n\nIt"),
        WRAPPED.replace("```markdown", "~~~markdown").replace("```\n\nIt", "~~~\n\nIt"),
        WRAPPED.replace("```markdown", "```"),
        f"<think>```mermaid\nflowchart TD\n a --> b\n```</think>\n{GOOD}",
        GOOD.replace("\n", "\r\n"),
    ],
)
def test_chart_is_taken_out_of_a_reply(reply: str):
    assert chart_in(reply) == GOOD


def test_an_outer_fence_that_is_cut_off_is_taken_off():
    assert chart_in(f"```markdown\n{GOOD}") == GOOD


@pytest.mark.parametrize("reply", ["", "#### 12", "flowchart TD\n a --> b", "```python\nx = 1\n```", f"<think>{GOOD}"])
def test_a_reply_without_a_chart_has_none(reply: str):
    assert chart_in(reply) == ""


def test_a_good_chart_has_no_findings():
    assert chart_findings(GOOD) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no flowchart program"),
        ("# Title\n\nprose", "no mermaid block"),
        (BROKEN, "whole"),
        (GOOD.replace("[half of it]", "{half of it}"), "half"),
        (GOOD.replace(WRITES, f"{WRITES}\n- model: http://elsewhere/v1#m"), "asks the model"),
        (GOOD.replace("- writes: half (number)", "- takes: x"), "no setting 'takes'"),
        (TAKES_MORE, "nothing sets the input 'key'"),
        (GOOD.replace("2 * half", "use_tool('shell', question)"), "use_tool"),
        (GOOD.replace(ASKS, "[[half of it]]").replace(WRITES, "- call: written"), "no chart named"),
        (GOOD.replace("[half of it]", "[/half of it\\]"), "waits for a person"),
        ("x" * 60_000, "60,000 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_said(text: str, said: str):
    assert said in chart_findings(text)


def test_a_chart_that_calls_a_text_is_refused():
    text = GOOD.replace("[half of it]", "[[half of it]]").replace(
        "- writes: half (number)", "- text: question\n- writes: half"
    )
    assert "calls another chart" in chart_findings(text)


def test_the_example_that_the_model_is_shown_passes_the_check():
    prompt = library().load("write_program").nodes["write"].ask
    assert prompt is not None
    shown = prompt.prompt.render({"aim": "this question", "questions": ["how much?"], "trouble": ""})
    assert "- how much?" in shown
    assert chart_in(shown).startswith("# Weekly growth")
    assert chart_findings(chart_in(shown)) == ""


def test_a_written_program_is_run():
    model = Writer(WRAPPED)
    (outcome,) = run("written", model)
    assert (outcome.status, outcome.answer, outcome.values["fallback"]) == ("answered", "42", False)


def test_findings_go_back_and_the_mended_program_is_run():
    model = Writer("I cannot.", BROKEN, GOOD)
    (outcome,) = run("written", model)
    assert (outcome.answer, outcome.values["fallback"]) == ("42", False)
    first, second, third = model.programs_asked
    assert "cannot be run" not in first
    assert "holds no flowchart program" in second
    assert "whole" in third
    assert BROKEN in third


def test_used_up_repairs_lead_to_the_chain_of_thought():
    model = Writer(BROKEN, BROKEN, BROKEN)
    (outcome,) = run("written", model)
    assert (outcome.answer, outcome.values["fallback"], len(model.programs_asked)) == ("21", True, 3)


def test_a_program_that_fails_leads_to_the_chain_of_thought():
    (outcome,) = run("written", Writer(GOOD.replace("2 * half", "2 / (half - 21)")))
    assert (outcome.answer, outcome.values["fallback"]) == ("21", True)


def test_a_class_of_problems_shares_one_program():
    model = Writer(GOOD)
    questions = [f"how much is it in case {n}?" for n in range(5)]
    outcomes = run("written_for_class", model, questions)
    assert [(outcome.answer, outcome.values["fallback"]) for outcome in outcomes] == [("42", False)] * 5
    (prompt,) = model.programs_asked
    assert [question in prompt for question in questions] == [True, True, True, False, False]
    assert sum("Say half of it" in prompt for prompt in model.asked) == 5

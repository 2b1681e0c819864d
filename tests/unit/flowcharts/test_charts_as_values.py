"""Charts that are the value of a variable: run, kept apart from files and other models, refused with words."""

import asyncio
from pathlib import Path

import pytest
from scripted_charts import Scripted, chart_text

from menon.core.values import Completion
from menon.flowcharts.calling import Models
from menon.flowcharts.document import Library, read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.surroundings import Surroundings

CALLER = """# Caller

- takes: question (text), program (text)

```mermaid
flowchart TD
    start([q]) --> run[[run it]] --> done([a])
    run -->|failed| tell[/why/] --> done
```

## run

- text: program

## tell

```python
answer = "refused: " + error
```
"""
PLAIN = chart_text(
    "s([q]) --> one[ask] --> e([a])",
    "- takes: question (text)",
    one="- writes: answer (text)\n\n```text\n{question}!\n```",
)


async def run(program: str, library: Library | None = None) -> tuple[Outcome, Scripted, list[str]]:
    opened: list[str] = []

    def opening(name: str) -> Scripted:
        opened.append(name)
        return Scripted()

    model = Scripted(lambda prompt, sample: Completion(key="", text=prompt))
    executor = Executor(
        read_chart(CALLER, library=library or Library()), Surroundings(models=Models(model, opened=opening))
    )
    outcome = await executor.run("k", {"question": "why", "program": program})
    assert [chart.text for chart in executor.charts_written] == ([program] if "refused" not in outcome.answer else [])
    return outcome, model, opened


def of(program: str, library: Library | None = None) -> tuple[Outcome, Scripted, list[str]]:
    return asyncio.run(run(program, library))


def test_a_chart_in_a_variable_is_executed():
    outcome, model, _ = of(PLAIN)
    assert (outcome.answer, model.prompts) == ("why!", ["why!"])


def test_a_model_that_it_names_is_never_opened():
    outcome, model, opened = of(PLAIN.replace("- writes", "- model: http://elsewhere/v1#m\n- writes"))
    assert outcome.answer.startswith("refused: ")
    assert "names a model" in outcome.answer
    assert (model.prompts, opened) == ([], [])


@pytest.mark.parametrize("name", ["other.md", "../other.md", "{folder}/other.md"])
def test_a_file_that_it_names_is_never_read(tmp_path: Path, name: str):
    (tmp_path / "other.md").write_text(PLAIN.replace("{question}!", "from the file"), encoding="utf-8")
    call = name.format(folder=tmp_path)
    program = chart_text("s([q]) --> c[[call]] --> e([a])", "- takes: question (text)", c=f"- call: {call}")
    outcome, model, _ = of(program, Library([tmp_path]))
    assert "may not call the file" in outcome.answer
    assert model.prompts == []


def test_charts_of_the_library_may_be_called_by_name(tmp_path: Path):
    (tmp_path / "other.md").write_text(PLAIN.replace("{question}!", "by name"), encoding="utf-8")
    program = chart_text("s([q]) --> c[[call]] --> e([a])", "- takes: question (text)", c="- call: other")
    assert of(program, Library([tmp_path]))[0].answer == "by name"


@pytest.mark.parametrize(
    "program", ["", "no chart at all", PLAIN.replace("--> e([a])", ""), PLAIN.replace("{question}", "{x}")]
)
def test_what_cannot_be_run_is_refused_before_anything_is_asked(program: str):
    outcome, model, _ = of(program)
    assert outcome.answer.startswith("refused: written-")
    assert "What to do: " in outcome.answer
    assert model.prompts == []

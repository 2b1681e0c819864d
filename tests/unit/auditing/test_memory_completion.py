"""Prefix completion: where a question is cut, what counts as verbatim, and whether a parrot is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_model import CountModel, material, open_problems

from menon.auditing.memory.completion import COMPLETION, REQUEST, halves, units, verbatim
from menon.auditing.memory.panel import Panel
from menon.core.errors import SamplerError
from menon.core.values import Completion
from menon.problems.datasets import load_problems


@given(st.text(max_size=60), st.floats(0.05, 0.95))
def test_both_halves_hold_units_and_nothing_is_lost(text: str, share: float) -> None:
    shown, rest = halves(text, share)
    if not rest:
        assert len(units(text)) < 2
        return
    assert units(shown) + units(rest) == units(text)
    assert units(shown)
    assert units(rest)
    assert not shown[-1:].isspace()
    assert text.startswith(shown)
    assert text.endswith(rest)


def test_verbatim_is_the_share_of_the_common_beginning() -> None:
    assert verbatim("buys 7 more pens.", " buys 7 more pens. How many?") == 1.0
    assert verbatim("buys 7 more pens.", "buys 8 more pens.") == pytest.approx(1 / 5)
    assert verbatim("12 pens", "1 2") == pytest.approx(2 / 3)
    assert verbatim("buys", "") == 0.0
    assert verbatim("", "buys") == 0.0


def twins_file(tmp_path, problems) -> str:
    path = tmp_path / "twins.jsonl"
    rows = (
        f'{{"question": "{twin.question}", "answer": "{twin.answer}", "template": "{item.template}"}}\n'
        for item, twin in zip(problems, open_problems(len(problems), "fresh"), strict=True)
    )
    path.write_text("".join(rows))
    assert len(load_problems(path).problems) == len(problems)
    return str(path)


def test_a_parrot_is_told_from_a_stranger(tmp_path) -> None:
    problems = open_problems(24)
    given = {"options": {"variants": twins_file(tmp_path, problems)}}
    for texts, found in (([p.question for p in problems], True), ([p.question for p in open_problems(24, "x")], False)):
        model = CountModel(texts)
        panel = Panel(material(model, problems, **given))
        rows = list(COMPLETION.measure(panel))
        line = COMPLETION.report(rows, [], panel).tables["prefix completion"][0]
        assert len(rows) == 48
        assert all(request.temperature == 0 for request in model.asked)
        assert (line["low"] > 0.5) is found
        assert (line["p"] < 0.001) is found
        assert (line["items"] > 0.9) is found


def test_chat_models_are_told_what_to_do() -> None:
    model = CountModel(["abc"])
    list(COMPLETION.measure(Panel(material(model, open_problems(3), style="plain"))))
    assert all(str(request.prompt).startswith(REQUEST) for request in model.asked)


def test_without_matches_the_missing_control_is_said() -> None:
    panel = Panel(material(CountModel(["abc"]), open_problems(3)))
    part = COMPLETION.report(list(COMPLETION.measure(panel)), [], panel)
    assert "has no control" in part.notes[0]
    assert part.effects == ()
    assert part.tables["prefix completion"][0]["p"] is None


class Broken:
    name = "broken"

    def sample(self, requests, **_):
        for request in requests:
            yield Completion(key=request.key, finish="error", error="no answer")

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise SamplerError("cannot score")


def test_a_model_that_never_answers_is_reported_with_its_reason() -> None:
    with pytest.raises(SamplerError, match="no answer"):
        list(COMPLETION.measure(Panel(material(Broken(), open_problems(3)))))

"""Option order and data-set order: a model that read the published order is found, one that did not is not."""

import math
import random
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from memory_model import CountModel, LogpsOnly, choice_problems, material, open_problems

from menon.auditing.memory.option_order import OPTION_ORDER, natural_order, orders, sorted_too_often
from menon.auditing.memory.panel import Detector, Panel, Part
from menon.auditing.memory.set_order import SET_ORDER
from menon.auditing.memory.texts import begun, listed
from menon.core.values import Problem


def test_orders_are_different_and_the_published_one_is_first() -> None:
    found = orders(5, 20, random.Random(1))
    assert len(set(found)) == len(found) == 21
    assert found[0] == (0, 1, 2, 3, 4)
    assert sorted(orders(3, 20, random.Random(1))) == sorted(permutations(range(3)))


def order_report(
    model: Any, problems: list[Problem], detector: Detector = OPTION_ORDER, **more: Any
) -> tuple[list[dict[str, Any]], Part]:
    panel = Panel(material(model, problems, **more))
    assert detector.objection(panel) is None
    rows = list(detector.measure(panel))
    return rows, detector.report(rows, [], panel)


def test_a_model_that_read_the_options_prefers_their_order() -> None:
    problems = choice_problems(12)
    model = LogpsOnly(CountModel(listed(p.question, p.choices) for p in problems))
    rows, part = order_report(model, problems)
    assert all(row["rank"] == 1 and row["orders"] == 21 for row in rows)
    assert part.effects[0].p == pytest.approx(21**-12)
    assert part.tables["option order"][0]["first"] == 1.0


def test_unseen_options_have_uniform_ranks() -> None:
    model = LogpsOnly(CountModel(listed(p.question, p.choices) for p in choice_problems(12)))
    rows, part = order_report(model, choice_problems(60, "fresh"), options={"shuffles": 4})
    mean = sum(row["rank"] for row in rows) / len(rows)
    assert abs(mean - 3) < 3 * math.sqrt(2 / len(rows))
    assert part.effects[0].p is not None
    assert part.effects[0].p > 0.01


def test_natural_orders_are_left_out_whatever_their_order() -> None:
    assert natural_order(("12", "7", "30", "red"))
    assert natural_order(("red", "all of the above"))
    assert natural_order(("red", "both a and b"))
    assert not natural_order(("all day", "red", "a bell above", "none"))
    numbers = [replace(p, choices=("3", "1", "2")) for p in choice_problems(10)]
    reason = OPTION_ORDER.objection(Panel(material(CountModel([]), numbers)))
    assert reason is not None
    assert "0 of 10 are left" in reason


def test_a_set_in_alphabetical_order_is_not_judged() -> None:
    problems = [replace(p, choices=tuple(sorted(p.choices))) for p in choice_problems(20)]
    reason = OPTION_ORDER.objection(Panel(material(CountModel([]), problems)))
    assert reason is not None
    assert "alphabetical order in 20 of 20" in reason
    assert not sorted_too_often([p.choices for p in choice_problems(200)])


def test_objections_name_what_is_missing() -> None:
    assert "multiple-choice" in str(OPTION_ORDER.objection(Panel(material(CountModel([]), open_problems(30)))))
    no_scores = material(CountModel([]), choice_problems(30), scores=False)
    assert "log-probabilities" in str(OPTION_ORDER.objection(Panel(no_scores)))
    assert "at least 20 items" in str(SET_ORDER.objection(Panel(material(CountModel([]), open_problems(19)))))


def test_a_model_that_read_the_file_prefers_its_order() -> None:
    problems = open_problems(24)
    model = LogpsOnly(CountModel(["\n\n".join(p.question for p in problems)]))
    options = {"shards": 6, "shuffles": 6}
    _, part = order_report(model, problems, SET_ORDER, options=options)
    assert part.effects[0].p is not None
    assert part.effects[0].p < 1e-3
    unread = LogpsOnly(CountModel([p.question for p in problems]))
    _, part = order_report(unread, problems, SET_ORDER, options=options)
    assert part.effects[0].p is not None
    assert part.effects[0].p > 0.01


def test_a_text_is_cut_behind_its_first_word() -> None:
    assert begun("what is it?") == ("what", " is it?")
    assert begun("G6H3+g7") == ("G", "6H3+g7")
    assert "".join(begun("x")) == "x"

"""Worlds of arithmetic, programs, syntax, logic and space: solved twice, paired, disjoint, and graded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.core.errors import ConfigError
from menon.core.values import Completion, Verdict
from menon.grading.verdicts import grade, open_grader
from menon.problems.splits import SPLITS
from menon.problems.worlds import WORLDS, WorldTask
from menon.problems.worlds.entailment import Fact, Literal, Rule, Statement, by_models, by_resolution
from menon.problems.worlds.grammar import NOUNS, ORDERS, VERBS, Clause, Phrase, form, readings, sentence
from menon.problems.worlds.interpreter import ProgramError, run, translated

TASKS: list[WorldTask] = [WORLDS.get(name) for name in ("arithmetic", "programs", "syntax", "logic", "spatial")]
BY_TASK = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
SPLIT_NAMES = st.sampled_from(sorted(SPLITS))
INDEXES = st.integers(min_value=0, max_value=10**6)


@BY_TASK
@settings(max_examples=25)
@given(split=SPLIT_NAMES, index=INDEXES, data=st.data())
def test_every_world_is_solved_paired_and_graded(task: WorldTask, split: str, index: int, data: st.DataObject):
    default = task.problem(split, index)
    for world in task.worlds:
        problem = task.problem(split, index, world=world)
        assert problem == task.problem(split, index, world=world)
        assert task.solve(problem) == problem.answer
        assert problem.meta["item"] == default.meta["item"]
        assert (problem.world, default.world, problem.family) == (world, "default", task.name)
        right = grade(problem, Completion(key="a", text=f"{problem.rationale or ''}#{problem.answer}"))
        assert right.verdict is Verdict.RIGHT
        recited = open_grader(problem.grader).accepts(problem, default.answer)
        assert recited is (default.answer == problem.answer)
    world = data.draw(st.sampled_from(["default", *task.worlds]))
    control = task.control(split, index, world=world)
    assert task.solve(control) == control.answer
    assert grade(control, Completion(key="a", text=f"#### {control.answer}")).right
    assert control == task.control(split, index, world=world)


@BY_TASK
def test_splits_share_no_item(task: WorldTask):
    items = {split: {task.problem(split, index).meta["item"] for index in range(40)} for split in SPLITS}
    checks = {split: {task.control(split, index).question for index in range(20)} for split in SPLITS}
    for groups in (items, checks):
        assert sum(map(len, groups.values())) == len(set.union(*groups.values()))


@pytest.mark.parametrize("task", [task for task in TASKS if task.name not in ("syntax", "logic")], ids=lambda t: t.name)
def test_answers_by_the_usual_rules_are_wrong_in_every_other_world(task: WorldTask):
    # In syntax and logic the answer is the same words in every world; what differs is the text that has to be read.
    for index in range(40):
        usual = task.problem("test", index)
        for world in task.worlds:
            assert task.problem("test", index, world=world).answer != usual.answer


@BY_TASK
def test_unknown_worlds_and_splits_are_refused(task: WorldTask):
    for call in (task.problem, task.control):
        with pytest.raises(ConfigError, match="has no world"):
            call("test", 0, world="nowhere")
        with pytest.raises(ConfigError, match="unknown split"):
            call("nowhere", 0)


LITERALS = st.builds(Literal, name=st.sampled_from("pqrs"), holds=st.booleans())
STATEMENTS = st.one_of(
    st.builds(Rule, kind=st.sampled_from("pqrs"), then=LITERALS),
    st.builds(Fact, who=st.sampled_from(["a", "b"]), options=st.lists(LITERALS, min_size=1, max_size=3).map(tuple)),
)


@settings(max_examples=150)
@given(premises=st.lists(STATEMENTS, max_size=7), goal=st.builds(Fact, who=st.just("a"), options=st.tuples(LITERALS)))
def test_resolution_finds_what_the_models_show(premises: list[Statement], goal: Fact):
    try:
        shown = by_models(premises, goal)
    except ConfigError:
        return  # contradictory premises
    assert by_resolution(premises, goal) == shown


@settings(max_examples=60)
@given(data=st.data())
def test_every_sentence_is_parsed_back(data: st.DataObject):
    nouns = data.draw(st.permutations(sorted(NOUNS)))
    verbs = data.draw(st.permutations(sorted(VERBS)))
    plural = st.booleans()

    def phrase(place: int) -> Phrase:
        inner = Phrase(noun=nouns[place + 2], plural=data.draw(plural))
        clause = Clause(verb=verbs[place + 1], object=inner) if data.draw(plural) else None
        where = data.draw(st.sampled_from(["", "near the river", "behind the towers"]))
        return Phrase(noun=nouns[place], plural=data.draw(plural), place=where, clause=clause)

    clause = Clause(verb=verbs[0], subject=phrase(0), object=phrase(1))
    assert clause.subject is not None
    gold = (clause.subject.head, form(clause.verb, clause.subject.plural))
    for order in ORDERS:
        assert gold in readings(sentence(clause, order), order)


@settings(max_examples=200)
@given(source=st.one_of(st.text(max_size=60), st.text(alphabet="x[]():=+-*1 2\n,for in range", max_size=60)))
def test_no_text_makes_the_interpreter_do_anything_but_answer_or_refuse(source: str):
    for first in (0, 1):
        try:
            value = run(source, first=first)
        except ProgramError:
            continue
        assert run(translated(source, first=first), first=1 - first) == value

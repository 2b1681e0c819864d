"""From flags to a recipe of an audit: everything that can be refused before a model is opened."""

from pathlib import Path

import pytest

from menon.auditing.contrasts import cells_of, contrasts_of
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question
from menon.auditing.verdict import Finding, Label
from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.studies.audit.asking import Spent
from menon.studies.audit.recipe import AuditRecipe, BudgetSection
from menon.studies.audit.run import audit_plan
from menon.studies.audit.standins import answers_of, examine, withdrawn
from menon.studies.audit.verdict import adjusted, overall


def test_flags_become_a_recipe_and_a_command():
    plan = audit_plan(
        ["menon:base"], flags={"per_cell": 20, "budget.price_in": 1.5, "budget.questions": 300}, out=Path("here")
    )
    assert plan.recipe.per_cell == 20
    assert plan.recipe.budget.price_in == 1.5
    assert plan.folder == Path("here")
    assert plan.command == "menon audit menon:base --per-cell 20 --price-in 1.5 --budget-questions 300 --out here"


def test_equal_arguments_go_to_equal_folders():
    one, two = (audit_plan(["menon:base"], overrides=[f"per_cell={n}"]).folder for n in (20, 21))
    assert one == audit_plan(["menon:base"], overrides=["per_cell=20"]).folder
    assert one != two


def test_several_models_are_refused_unless_recorded():
    with pytest.raises(ConfigError, match="--against other"):
        audit_plan(["menon:base", "other"])
    assert audit_plan(["recorded:a.jsonl", "recorded:b.jsonl"]).recorded


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('probes=["wordls"]', "no probe 'wordls'"),
        ("verdict.floors=0.2", "no threshold 'floors'"),
        ("budget.money=3", "needs prices"),
        ("per_cell=2", "per_cell"),
        ("verdict.reasons_below=0.9", "regions overlap"),
    ],
)
def test_bad_settings_are_named(override: str, said: str):
    with pytest.raises(ConfigError, match=said):
        audit_plan(["menon:base"], overrides=[override])


def test_budget_counts_down_in_questions_tokens_and_money():
    assert Spent(BudgetSection()).left is None
    spent = Spent(BudgetSection(questions=10))
    spent.add({"asked": 4, "prompt_tokens": 100, "sampled_tokens": 50})
    assert spent.left == 6
    spent = Spent(BudgetSection(tokens=120))
    spent.add({"asked": 4, "prompt_tokens": 100, "sampled_tokens": 50})
    assert spent.left == 0
    spent = Spent(BudgetSection(money=0.001, price_in=2.0, price_out=10.0))
    spent.add({"asked": 1, "prompt_tokens": 100, "sampled_tokens": 50})
    assert spent.money == pytest.approx(0.0007)
    assert spent.left is None
    spent.add({"asked": 1, "prompt_tokens": 100, "sampled_tokens": 50})
    assert spent.left == 0


class Sums:
    """A probe of one task in two worlds, as small as a probe can be."""

    name, title, source = "sums", "Sums", "none"

    def __init__(self, count: int):
        self.count = count

    def objection(self, material: Material) -> str | None:
        return None

    def questions(self, material: Material) -> list[Question]:
        return [
            Question(
                problem=Problem(family="sum", question=f"{i} in {world}", answer="1"),
                task="sum",
                condition=world,
                baseline=world == "base10",
                pair=str(i),
            )
            for world in ("base10", "base9")
            for i in range(self.count)
        ]

    def measure(self, material: Material):
        return []

    def report(self, answered: list[Answered], measured, material: Material) -> ProbeReport:
        (found,) = contrasts_of(cells_of(self.name, answered), config=material.config)
        return ProbeReport(name=self.name, title=self.title, source=self.source, finding=found.finding)


def test_stand_ins_are_told_apart_when_there_are_enough_questions():
    material = Material(model="m")
    probe = Sums(120)
    said = examine(probe, probe.questions(material), material)  # pyright: ignore[reportArgumentType]
    labels = {nature: finding.label for nature, finding in said.items() if finding}
    assert labels == {"reciter": Label.RECITES, "reasoner": Label.REASONS}
    finding = Finding(label=Label.MIXED, reason="so")
    assert withdrawn(finding, said) is finding


def test_a_verdict_is_withdrawn_where_stand_ins_look_alike():
    material = Material(model="m")
    probe = Sums(4)
    said = examine(probe, probe.questions(material), material)  # pyright: ignore[reportArgumentType]
    found = withdrawn(Finding(label=Label.REASONS, reason="so"), said)
    assert found.label is Label.CANNOT_TELL
    assert "by construction" in found.reason


def test_stand_in_answers_depend_on_the_question_only():
    questions = Sums(30).questions(Material(model="m"))
    first = [a.grade.right for a in answers_of("reasoner", questions)]
    again = [a.grade.right for a in answers_of("reasoner", list(reversed(questions)))]
    assert first == list(reversed(again))
    assert 0.7 < sum(first) / len(first) < 1


def report(name: str, label: Label | None, p: float | None = None, **more) -> ProbeReport:
    effects = (Effect(label="x", value=0.1, low=0, high=0.2, n=10, p=p, primary=True),) if p is not None else ()
    finding = None if label is None else Finding(label=label, reason="so") if label else None
    return ProbeReport(name=name, title=name, source="", finding=finding, effects=effects, **more)


def test_holm_runs_over_the_probes_and_the_shares():
    share = Effect(label="s", value=0.5, low=0.4, high=0.6, n=10, kind="share", p=0.01, primary=True)
    silent = Effect(label="control", value=1, low=1, high=1, n=10, kind="share")
    done, shares = adjusted([report("a", None, 0.02), report("b", None, 0.04)], [share, silent])
    assert [r.effects[0].p_adjusted for r in done] == pytest.approx([0.04, 0.04])
    assert shares[0].p_adjusted == pytest.approx(0.03)
    assert shares[1].p_adjusted is None


def test_probes_decide_only_without_originals():
    finding, basis = overall(None, [report("a", Label.RECITES), report("b", Label.CANNOT_DO), report("c", None)])
    assert (finding.label, basis) == (Label.RECITES, "probes")
    finding, basis = overall(None, [report("smoke", Label.RECITES, smoke=True)])
    assert (finding.label, basis) == (Label.CANNOT_TELL, "nothing")


def test_recipe_carries_the_control_family_into_the_thresholds():
    assert AuditRecipe().config().controls == ("facts",)

"""The calibration panel, small: members are what they are said to be, and audits of them find it."""

import json
from pathlib import Path

import pytest

from menon.auditing import AuditConfig, Label
from menon.core.recipe import load_recipe
from menon.studies.calibration import run_calibration
from menon.studies.calibration.audits import Population, audit_population, expected, mixtures
from menon.studies.calibration.members import members, questions
from menon.studies.calibration.recipe import CalibrationRecipe

ROOT = Path(__file__).parents[3]
FEW = CalibrationRecipe(audits=60, audit_templates=60, stand_ins=10)


def population(share: float, ability: float = 1.0, size: int = 200) -> Population:
    """A model that has `share` of what it can do by heart; every template is recited or known for good."""
    can = round(size * ability)
    recited = round(can * share)
    originals = tuple(float(i < can) for i in range(size))
    variants = tuple((float(recited <= i < can),) * 6 for i in range(size))
    return Population(name=f"planted {share}", planted=share, originals=originals, variants=variants)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_truth_and_estimate_agree_on_planted_populations(share: float):
    planted = population(share, 0.8)
    assert planted.truth == pytest.approx(share, abs=0.01)
    found = audit_population(planted, FEW, AuditConfig())
    assert found["estimate"] == pytest.approx(share, abs=0.05)
    assert found["coverage"]["value"] >= 0.85
    assert found["width"] < 0.5


def test_expected_verdicts_are_the_regions():
    config = AuditConfig()
    assert expected(0.0, config) == {Label.REASONS}
    assert expected(0.2, config) == {Label.REASONS, Label.MIXED}
    assert expected(0.4, config) == {Label.MIXED}
    assert expected(0.9, config) == {Label.RECITES}


def test_mixtures_are_what_was_planted():
    for planted in mixtures(FEW):
        assert planted.truth == pytest.approx(planted.planted, abs=0.15)


def test_members_share_no_problem():
    recipe = load_recipe("calibration", CalibrationRecipe, ["originals=20", "variants=2", "rehearsal=20"])
    seen: set[str] = set()
    panel = members(recipe)
    assert len(panel) == 1 + len(recipe.shares) * recipe.replicas
    for member in panel:
        originals = {p.id for p in member.originals(recipe)}
        rehearsed = {p.id for p in member.rehearsed(recipe)}
        fresh = {p.id for p, of in questions(recipe, member) if of}
        assert len(originals) == recipe.originals
        assert not originals & fresh
        assert not rehearsed & (originals | fresh)
        assert not originals & seen
        seen |= originals
        assert sum(p.difficulty in recipe.hard for p in member.memorised(recipe)) == len(member.memorised(recipe))


def test_a_small_panel_runs_and_is_read_back(tmp_path: Path):
    small = [
        "shares=[1.0]", "replicas=1", "originals=20", "variants=2", "epochs=2", "copies=2", "rehearsal=20", "audits=20",
        "audit_templates=20", "audit_variants=2", "stand_ins=10",
    ]  # fmt: skip
    found = run_calibration(out=tmp_path / "run", overrides=small)
    assert [row["name"] for row in found["models"]] == ["base", "memorised 100%, 1"]
    base = found["models"][0]
    assert base["original"] > 0.8  # the base reasons about its easy chains
    assert abs(base["truth"]) < 0.2
    assert found["auc"]["value"] > 0.9
    page = (tmp_path / "run" / "calibration.md").read_text(encoding="utf-8")
    assert "| memorised 100%, 1 |" in page
    again = run_calibration(out=tmp_path / "run", overrides=small)
    assert again["models"] == found["models"]


def test_the_panel_in_the_package_is_that_of_the_documents():
    panel = json.loads((ROOT / "src" / "menon" / "auditing" / "panel.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    for row in (*panel["models"], *panel["stand_ins"]):
        shown = f"{100 * row['coverage']['value']:.1f} % [{100 * row['coverage']['low']:.1f}"
        assert f"| {row['name']} |" in page
        assert shown in page
    assert panel["auc"]["value"] >= 0.98
    assert 0.92 <= panel["coverage"]["value"] <= 0.98

"""The overthinking probe on the embedded model: single solutions, budgets kept, more right with more tokens."""

from menon.auditing.probe import Answered, Material
from menon.auditing.probes.overthinking import BUDGETS, EFFICIENCY, OVERTHINKING
from menon.grading import grade
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking
from menon.sampling.open import open_sampler
from menon.sampling.protocol import sample_in_order


def test_overthinking_of_the_embedded_model():
    sampler = open_sampler("menon:base")
    material = Material(model="menon:base", style="menon", per_cell=16, sampler=lambda: sampler)
    asking = Asking(style=STYLES.get("menon"), max_tokens=256)
    questions = OVERTHINKING.questions(material)
    completions = sample_in_order(sampler, [asking.request(question.problem) for question in questions])
    answered = [
        Answered(question=q, completion=c, grade=grade(q.problem, c), model="menon:base")
        for q, c in zip(questions, completions, strict=True)
    ]
    rows = list(OVERTHINKING.measure(material))
    report = OVERTHINKING.report(answered, rows, material)

    efficiency = {row["measure"]: row["value"] for row in report.tables[EFFICIENCY]}
    assert efficiency["outcome efficiency"] == efficiency["accuracy"] > 0.4
    assert efficiency["process efficiency"] == efficiency["solutions per answer"] == 1
    assert "No answer holds more than one solution" in report.sentence

    budgets = report.tables[BUDGETS]
    assert all(row["kept"] == 1 for row in budgets)
    assert all(row["most_tokens"] <= row["budget"] for row in budgets if row["budget"] != "unlimited")
    assert budgets[0]["forced"] == 1
    assert budgets[-1]["forced"] == 0
    assert budgets[0]["without_answer"] == 0
    assert budgets[0]["accuracy"] + 0.2 < budgets[-1]["accuracy"]

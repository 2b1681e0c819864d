"""The adaptive audit: what it asks, when it stops, what it may spend, and that it can be replayed."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from graded_cells import grade, problem

from menon.auditing import AuditConfig, Item, Label
from menon.auditing.adaptive import AdaptiveAudit, Ask, Budget, Look, Plan
from menon.auditing.family import audit_families
from menon.core.errors import ConfigError
from menon.stats import expanded_level, power_spending, sequential_bounds

ORIGINALS = [problem(index, template=f"t{index % 150}") for index in range(400)]


class Planted:
    """A model that knows a part of the originals and is otherwise right with an ability per original."""

    def __init__(self, *, known: float, ability: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.knows = {p.id: rng.random() < known for p in ORIGINALS}
        self.ability = {p.id: rng.beta(2 * ability, 2 * (1 - ability)) for p in ORIGINALS}
        self.index = {p.id: place for place, p in enumerate(ORIGINALS)}

    def answer(self, ask: Ask) -> Item:
        place = self.index[ask.original]
        rng = np.random.default_rng([place, ask.instance])
        right = rng.random() < self.ability[ask.original] or (ask.instance == 0 and self.knows[ask.original])
        asked = ORIGINALS[place]
        if ask.instance == 0:
            return Item(problem=asked, grade=grade("r" if right else "w"), role="original")
        fresh = problem(10_000 * ask.instance + place, split="variant", template=asked.template)
        return Item(problem=fresh, grade=grade("r" if right else "w"), role="fresh", of=asked.id)


def finish(
    audit: AdaptiveAudit, model: Planted, tokens: tuple[int, int] = (0, 0)
) -> tuple[list[tuple[Ask, ...]], Look]:
    batches = []
    while batch := audit.next_batch():
        batches.append(batch)
        used = [count * len(batch) for count in tokens]
        audit.observe([model.answer(a) for a in batch], prompt_tokens=used[0], completion_tokens=used[1])
    look = audit.state()
    assert look is not None
    assert look.stop
    return batches, look


def audit_of(**options) -> AdaptiveAudit:
    return AdaptiveAudit(ORIGINALS, instances=20, **options)


@pytest.mark.parametrize(
    ("known", "ability", "label", "most"),
    [(0.0, 0.9, Label.REASONS, 300), (0.9, 0.05, Label.RECITES, 300), (0.5, 0.5, Label.MIXED, 500)],
)
def test_clear_models_are_told_early(known: float, ability: float, label: Label, most: int) -> None:
    audit = audit_of()
    _, look = finish(audit, Planted(known=known, ability=ability))
    assert look.finding.label is label
    assert look.reason == "the verdict is safe"
    assert look.questions == audit.questions <= most
    assert audit.next_batch() == ()


def test_originals_come_first_with_their_instances_templates_in_turn() -> None:
    asks = [
        ask for batch in finish(audit_of(plan=Plan(width=1e-9)), Planted(known=0.3, ability=0.4))[0] for ask in batch
    ]
    assert [ask.instance for ask in asks[:999]] == [0, 1, 2] * 333
    originals = [ask.original for ask in asks if ask.instance == 0]
    assert len(set(originals)) == len(originals)
    template = {p.id: p.template for p in ORIGINALS}
    assert len({template[o] for o in originals[:150]}) == 150, "every template once before any twice"
    assert len({template[o] for o in originals[150:300]}) == 150


def test_when_originals_run_out_instances_are_added_in_rounds_until_useless() -> None:
    plan = Plan(looks=(60, 300, 600, 900), width=1e-9, min_gain=0.1)
    audit = AdaptiveAudit(ORIGINALS[:40], instances=30, plan=plan)
    batches, look = finish(audit, Planted(known=0.2, ability=0.5))
    asked = Counter(ask.original for batch in batches for ask in batch)
    assert max(asked.values()) - min(asked.values()) <= 1
    assert len(asked) == 40
    assert look.reason == "all originals are asked, and more re-instantiations would hardly narrow the interval"
    assert look.questions < 900


def test_levels_are_those_of_the_bounds_and_verdicts_those_of_the_rule() -> None:
    config, plan = AuditConfig(), Plan(looks=(90, 180, 300), width=1e-9)
    audit = audit_of(plan=plan, config=config)
    model = Planted(known=0.2, ability=0.5)
    batches, _ = finish(audit, model)
    at = [0.3, 0.6, 1.0]
    bounds = sequential_bounds(at, [power_spending(t, 0.05, power=plan.power) for t in at])
    assert [look.questions for look in audit.looks] == [90, 180, 300]
    for look, bound in zip(audit.looks, bounds, strict=True):
        assert look.level == pytest.approx(expanded_level(bound, look.questions // 3))
        assert look.config.level == look.level
        assert look.config.resamples * (1 - look.level) / 2 >= 9.9
    items = [model.answer(ask) for batch in batches for ask in batch]
    (again,) = audit_families(items, audit.looks[-1].config).values()
    assert again.finding == audit.looks[-1].finding
    assert again.share_judged == audit.looks[-1].share


def test_replaying_gives_the_same_path() -> None:
    model = Planted(known=0.15, ability=0.5, seed=3)
    batches, look = finish(audit_of(), model, tokens=(100, 50))
    again = audit_of()
    for batch in batches:
        assert again.next_batch() == batch
        assert again.next_batch() == batch
        again.observe([model.answer(ask) for ask in batch], prompt_tokens=100 * len(batch))
    assert again.state() == look


def test_wanted_width_is_reached() -> None:
    _, look = finish(audit_of(plan=Plan(width=0.35)), Planted(known=0.3, ability=0.6))
    assert look.reason == "the interval is as narrow as wanted"
    assert look.share is not None
    assert look.share.low is not None
    assert look.share.high is not None
    assert look.share.high - look.share.low <= 0.35


def test_budget_of_questions_makes_a_shorter_plan() -> None:
    audit = audit_of(budget=Budget(questions=250), plan=Plan(width=1e-9))
    _, look = finish(audit, Planted(known=0.2, ability=0.5))
    assert [x.questions for x in audit.looks] == [100, 200, 250]
    assert look.reason == "budget exhausted"
    spent = [power_spending(t, 0.05, power=1.5) for t in (0.4, 0.8, 1.0)]
    assert look.level == pytest.approx(expanded_level(sequential_bounds((0.4, 0.8, 1.0), spent)[-1], 84))


@pytest.mark.parametrize(
    "budget",
    [Budget(tokens=40_000), Budget(money=0.08, price_in=1.0, price_out=4.0)],  # 150 tokens a question; 0.0003 of money
)
def test_budget_of_tokens_or_money_ends_between_looks(budget: Budget) -> None:
    audit = audit_of(budget=budget, plan=Plan(width=1e-9))
    _, look = finish(audit, Planted(known=0.2, ability=0.5), tokens=(100, 50))
    assert look.questions == (266 if budget.tokens else math.floor(0.08 / 0.0003))
    assert look.reason == "budget exhausted"
    assert look.finding.label in Label
    # The last look may spend all of the error that is left.
    at = [0.1, 0.2, look.questions / 1000]
    spent = [*(power_spending(t, 0.05, power=1.5) for t in at[:2]), 0.05]
    assert look.level == pytest.approx(expanded_level(sequential_bounds(at, spent)[-1], 89))


def test_a_batch_that_costs_more_than_the_budget_still_ends_in_a_look() -> None:
    _, look = finish(audit_of(budget=Budget(tokens=10)), Planted(known=0.2, ability=0.5), tokens=(100, 50))
    assert (look.look, look.questions, look.reason) == (1, 50, "budget exhausted")
    assert look.finding.label is Label.CANNOT_TELL, "fewer than 20 originals"


def test_wrong_answers_to_a_batch_are_refused() -> None:
    audit, model = audit_of(), Planted(known=0.2, ability=0.5)
    batch = audit.next_batch()
    with pytest.raises(ConfigError, match="do not fit the batch"):
        audit.observe([model.answer(ask) for ask in batch[:-1]])
    with pytest.raises(ConfigError, match="do not fit the batch"):
        audit.observe([model.answer(Ask(original=ask.original, instance=0)) for ask in batch])
    audit.observe([item for ask in batch for item in [model.answer(ask)] * 2])  # two samples of everything
    assert audit.questions == len(batch)


def test_originals_without_instances_are_not_asked() -> None:
    available = {p.id: place % 2 for place, p in enumerate(ORIGINALS)}
    audit = AdaptiveAudit(ORIGINALS, instances=available, plan=Plan(looks=(1000,)))
    assert audit.most == 400
    with pytest.raises(ConfigError, match="none of 400 originals"):
        AdaptiveAudit(ORIGINALS, instances={})
    with pytest.raises(ConfigError, match="of one family"):
        AdaptiveAudit([problem(1), problem(1, family="addition")], instances=3)


def test_a_first_look_without_error_to_spend_is_refused() -> None:
    with pytest.raises(ConfigError, match="the first look, at 20 of 1000 questions"):
        audit_of(plan=Plan(looks=(20, 1000), power=2))


def test_wrong_plans_and_budgets_are_refused() -> None:
    with pytest.raises(ConfigError, match="ascending"):
        Plan(looks=(200, 100))
    with pytest.raises(ConfigError, match="at least 1"):
        Plan(per_original=0)
    with pytest.raises(ConfigError, match="0 tokens"):
        Budget(tokens=0)
    with pytest.raises(ConfigError, match="needs prices"):
        Budget(money=5.0)
    with pytest.raises(ConfigError, match="prices -1"):
        Budget(money=5.0, price_in=-1)


def test_json_of_a_look_is_plain() -> None:
    _, look = finish(audit_of(), Planted(known=0.0, ability=0.9))
    block = json.loads(json.dumps(look.to_json()))
    assert block["finding"]["label"] == "reasons"
    assert block["stop"] is True
    assert 0.95 < block["level"] < 1

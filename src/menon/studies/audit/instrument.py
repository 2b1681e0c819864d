"""The instrument: the recitation share of each pool, asked look by look until its verdict is settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from menon.auditing import AuditReport, Item, KnownAnswers, KnownCase, Label, check_known_answers
from menon.auditing.adaptive import AdaptiveAudit, Ask, Budget, Look, Plan
from menon.auditing.exchangeable import exchangeability
from menon.auditing.family import FamilyAudit, audit_families
from menon.auditing.first import report_on
from menon.auditing.probe import Answered, Question
from menon.auditing.verdict import AuditConfig
from menon.core.values import Problem
from menon.grading import grade
from menon.sampling import open_sampler
from menon.sampling.protocol import bind_problems, sample_in_order
from menon.studies.audit.asking import Interview, Spent
from menon.studies.audit.pools import Pool
from menon.studies.audit.recipe import AuditRecipe
from menon.studies.audit.scores import gold_scores

STAND_INS = (("scripted:reciter", Label.RECITES), ("scripted:oracle?p=0.9", Label.REASONS))
AT_ONCE = 1_000_000  # a look that no pool reaches, for a design that looks only at the end


@dataclass(slots=True)
class InstrumentResult:
    """Answers of all pools, the report over them, and how each pool's share developed look by look."""

    pools: list[Pool]
    answered: list[Answered]
    report: AuditReport
    looks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    exchangeability: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def run_instrument(
    interview: Interview,
    found: Sequence[Pool],
    recipe: AuditRecipe,
    *,
    scores: bool = False,
    same_as: InstrumentResult | None = None,
) -> InstrumentResult | None:
    """Ask originals and re-instantiations of every pool and judge them; None where the budget allowed no question.

    With `scores`, log-likelihoods of the gold answers give the exchangeability test a second version. With `same_as`,
    the questions of that result are asked again of this interview's model.
    """
    config = recipe.config()
    answered: list[Answered] = []
    looks: dict[str, list[dict[str, Any]]] = {}
    notes = [note for pool in found for note in pool.notes]
    families: dict[str, FamilyAudit] = {}
    for pool in found:
        if same_as is not None:
            questions = [a.question for a in same_as.answered if a.question.task == pool.name]
            own = interview.ask(questions, "instrument", pool.name)
            families |= audit_families(items_of(own), config)
        else:
            own, last = _ask_pool(interview, pool, recipe, config, looks)
            if last is not None:
                families[pool.name] = last.audit
                notes += _note(pool, last)
        answered += own
    if not families:
        return None
    known = known_answers([a.question for a in answered], interview, config)
    report = report_on(families, config=config, known=known)
    tests = {}
    for name, family in report.families.items():
        measured = gold_scores(interview, name, family.pairs) if scores else None
        tests[name] = exchangeability(family.pairs, config, scores=measured).to_json()
    return InstrumentResult(
        pools=list(found), answered=answered, report=report, looks=looks, exchangeability=tests, notes=notes
    )


def _ask_pool(
    interview: Interview,
    pool: Pool,
    recipe: AuditRecipe,
    config: AuditConfig,
    looks: dict[str, list[dict[str, Any]]],
) -> tuple[list[Answered], Look | None]:
    """Ask one pool batch by batch until its verdict is safe, and return the answers and the last look."""
    settings = recipe.instrument
    plan = Plan(
        looks=Plan().looks if settings.adaptive else (AT_ONCE,),
        per_original=min(Plan().per_original, settings.variants),
        batch=interview.step,
        width=settings.width or None,
    )
    budget = _left(interview.spent, recipe)
    if budget is None:
        interview.unfinished.append(pool.name)
        return [], None
    audit = AdaptiveAudit(pool.originals, instances=pool.instances, config=config, plan=plan, budget=budget)
    by_id = {problem.id: problem for problem in pool.originals}
    answered: list[Answered] = []
    number = 0
    while batch := audit.next_batch():
        before = (interview.spent.prompt_tokens, interview.spent.sampled_tokens)
        part = interview.ask([_question(pool, ask, by_id) for ask in batch], "instrument", pool.name, number)
        if not part:
            break
        answered += part
        number += 1
        tokens = (interview.spent.prompt_tokens - before[0], interview.spent.sampled_tokens - before[1])
        audit.observe(items_of(part), prompt_tokens=tokens[0], completion_tokens=tokens[1])
    looks[pool.name] = [_look_json(look) for look in audit.looks]
    return answered, audit.state()


def _left(spent: Spent, recipe: AuditRecipe) -> Budget | None:
    """Return what is left of the budget; None when nothing is."""
    if spent.left == 0:
        return None
    limits = recipe.budget
    return Budget(
        questions=spent.left,
        tokens=limits.tokens - spent.prompt_tokens - spent.sampled_tokens if limits.tokens else None,
        money=limits.money - spent.money if limits.money else None,
        price_in=limits.price_in,
        price_out=limits.price_out,
    )


def _question(pool: Pool, ask: Ask, by_id: Mapping[str, Problem]) -> Question:
    original = by_id[ask.original]
    problem = original if ask.instance == 0 else pool.instance(original, ask.instance - 1)
    return question_of(pool.name, problem, original)


def question_of(task: str, problem: Problem, original: Problem) -> Question:
    """Return the question that puts an original or one of its re-instantiations."""
    same = problem.id == original.id
    return Question(
        problem=problem,
        task=task,
        condition="original" if same else "fresh",
        baseline=same,
        role="original" if same else "fresh",
        of="" if same else original.id,
        cluster=original.template or original.id,
        pair=original.id,
    )


def items_of(answered: Sequence[Answered]) -> list[Item]:
    """Return the audit's items behind the answers."""
    return [Item(problem=a.question.problem, grade=a.grade, role=a.question.role, of=a.question.of) for a in answered]


def known_answers(questions: Sequence[Question], interview: Interview, config: AuditConfig) -> KnownAnswers:
    """Put the same questions to stand-ins whose nature is known."""
    by_id = {question.problem.id: question for question in questions}
    problems = [replace(q.problem, split=q.role) for q in by_id.values()]  # a reciter knows split "original" by heart
    cases = []
    for spec, expected in STAND_INS:
        sampler = open_sampler(spec)
        bind_problems(sampler, problems)
        requests = [interview.request(question, "known") for question in by_id.values()]
        items = []
        for completion in sample_in_order(sampler, requests):
            question = by_id[completion.key.partition("/")[0]]
            graded = grade(question.problem, completion)
            items.append(Item(problem=question.problem, grade=graded, role=question.role, of=question.of))
        cases.append(KnownCase(name=spec, expected=expected, items=tuple(items)))
    return check_known_answers(cases, config)


def _look_json(look: Look) -> dict[str, Any]:
    share = look.share
    return {
        "look": look.look,
        "questions": look.questions,
        "level": look.level,
        "share": share.value if share else None,
        "low": share.low if share else None,
        "high": share.high if share else None,
        "verdict": str(look.finding.label),
        "stop": look.stop,
        "reason": look.reason,
    }


def _note(pool: Pool, look: Look) -> list[str]:
    if look.reason == "budget exhausted":
        return [f"The budget was spent after {look.questions:,} questions on {pool.name}."]
    return []

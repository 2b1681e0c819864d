"""STaR: sample rationales, keep what comes out right, rationalise the rest, fine-tune from the base, again.

Every sample of every round is one stored row that says why it was kept or dropped. Rationalised rows are stored and
learnt without the hint. Deviations from the paper, each an option: the filter may also ask for sound steps, sampling
is at a temperature instead of (almost) greedy, and kept rows of earlier rounds may be accumulated.
Source: Zelikman et al. 2022, arXiv:2203.14465, Algorithm 1 and Appendix H.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from menon.core.errors import Refused
from menon.core.progress import Progress, Silent
from menon.core.seeds import rng_for
from menon.core.values import Completion, Problem
from menon.problems.prompts import PromptStyle
from menon.sampling.asking import Asking, Graded, ask, from_record, to_record
from menon.sampling.local_text import Texts
from menon.store import Run
from menon.teaching.config import StarConfig, TrainConfig
from menon.teaching.learner import Learner
from menon.teaching.rows import Row
from menon.teaching.selection import KEPT, select

SHARD = 400  # questions per unit of sampling
NOT_TRAINED: dict[str, Any] = {"rows": 0, "steps": 0, "tokens": 0, "loss": None}


class Questions(Protocol):
    """Where a loop gets its questions from."""

    def round(self, number: int) -> list[Problem]:
        """Return the questions of round `number`, counted from 1."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round did. `unsound` counts right answers with a wrong step, kept or not.

    `checkpoint` holds the model after the round: that of an earlier round, or none (the base), when nothing was learnt.
    """

    arm: str
    round: int
    asked: int
    right: int
    kept: int
    rationalised: int
    dropped: dict[str, int]
    unsound: int
    steps: int
    sampled_tokens: int
    trained_tokens: int
    loss: float | None
    seconds: float
    checkpoint: str
    alarms: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the round as the report's row, with sampled + trained tokens per second."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        row["alarms"] = list(self.alarms)
        row["tokens_per_s"] = (self.sampled_tokens + self.trained_tokens) / self.seconds if self.seconds else None
        return row


@dataclass(kw_only=True)
class Loop:
    """One arm of teaching over one run directory."""

    run: Run
    learner: Learner
    questions: Questions
    style: PromptStyle
    config: StarConfig
    train: TrainConfig
    arm: str = "star"
    seed: int = 0
    token_budget: int | None = None
    save_every: int = 0
    progress: Progress = field(default_factory=Silent)
    few_shot: PromptStyle | None = None
    force: bool = False

    def rounds(self) -> Iterator[Round]:
        """Run the loop, yielding after each round; the learner then holds that round's weights.

        Raises:
            Refused: a round kept nothing to learn from; the message names the reasons and what to change. With
                `force` such a round is reported with that message as an alarm, and the model stays as it was.
        """
        history: list[list[Graded]] = []
        checkpoint = ""
        for number in range(1, self.config.rounds + 1):
            kept, summary = self._gather(number)
            rows = self._rows(number, kept, list(history))  # a copy: the rows are made later
            history.append(kept)
            trained = NOT_TRAINED
            if kept or self.config.learn != "own":
                trained = self._learn(number, rows)
                checkpoint = f"checkpoints/{self.arm}-{number}"
            yield self._report(number, summary, trained, checkpoint)

    def _gather(self, number: int) -> tuple[list[Graded], dict[str, Any]]:
        problems = self.questions.round(number)
        by_id = {problem.id: problem for problem in problems}
        problems = list(by_id.values())
        if self.config.learn != "own":
            return [], {"asked": len(problems), "right": 0, "sampled_tokens": 0, "dropped": {}, "unsound": 0}
        own = self._sample(number, problems, hint=False)
        solved = {item.problem.id for item in own if item.grade.right}
        failed = [p for p in problems if p.id not in solved and self._rationalised(p, number)]
        hinted = self._sample(number, failed, hint=True) if self.config.rationalize and failed else []
        stage, names = self.arm, (number, "select")

        def compute(writer: Any) -> dict[str, Any]:
            decisions = select([*own, *hinted], self.config, self.seed, number)
            for decision in decisions:
                prompt = self.style.prompt(decision.sample.problem)
                writer.add("row", to_record(decision.sample, round=number, reason=decision.reason, prompt=prompt))
            dropped = Counter(d.reason for d in decisions if not d.kept)
            return {
                "asked": len(problems),
                "right": len(solved),
                "dropped": dict(sorted(dropped.items())),
                "unsound": sum(d.sample.grade.right and d.sample.grade.sound is False for d in decisions),
                "sampled_tokens": sum(d.sample.completion.completion_tokens for d in decisions),
                "truncated": sum(d.sample.completion.finish == "length" for d in decisions),
                "samples": len(decisions),
            }

        summary = self.run.unit(stage, *names, compute=compute)
        rows = self.run.records("row", stage=stage, names_prefix=names)
        kept = [from_record(row, by_id[row["problem"]]) for row in rows if row["reason"] == KEPT]
        if not kept and not self.force:
            raise Refused(f"{_nothing_kept(number, summary)}; --force goes on with the model as it was")
        return kept, summary

    def _rationalised(self, problem: Problem, number: int) -> bool:
        share = self.config.p_rationalization
        return share >= 1 or rng_for("rationalise", self.seed, number, problem.id).random() < share

    def _sample(self, number: int, problems: Sequence[Problem], *, hint: bool) -> list[Graded]:
        purpose = "rationalise" if hint else "sample"
        style = self.few_shot if self.few_shot and (number == 1 or self.config.few_shot_later) else self.style
        asking = Asking(
            style=style,
            temperature=self.config.temperature,
            top_p=self.config.top_p,
            top_k=self.config.top_k,
            samples=1 if hint else self.config.samples,
            max_tokens=self.config.max_tokens,
        )
        self.progress.start(
            f"{self.arm} round {number}: {purpose}", total=len(problems) * asking.samples, unit="samples"
        )
        graded: list[Graded] = []
        for start in range(0, len(problems), SHARD):
            part = problems[start : start + SHARD]
            graded += self._sample_unit((number, purpose, start // SHARD), part, asking, hint)
            self.progress.advance(len(part) * asking.samples)
        return graded

    def _sample_unit(self, names: tuple, problems: Sequence[Problem], asking: Asking, hint: bool) -> list[Graded]:
        by_id = {problem.id: problem for problem in problems}

        def compute(writer: Any) -> dict[str, Any]:
            graded = ask(self.learner.sampler(), problems, asking, self.seed, self.arm, *names, hint=hint)
            for item in graded:
                writer.add("sample", to_record(item))
            return {"samples": len(graded), "right": sum(item.grade.right for item in graded)}

        self.run.unit(self.arm, *names, compute=compute)
        records = self.run.records("sample", stage=self.arm, names_prefix=names)
        return [from_record(record, by_id[record["problem"]]) for record in records]

    def _rows(self, number: int, kept: list[Graded], history: list[list[Graded]]) -> Callable[[], list[Row]]:
        """Return a function that tokenises what this round learns from; it is called only when training is due."""
        problems = self.questions.round(number)

        def rows() -> list[Row]:
            if self.config.learn != "own":
                past = [p for n in range(1, number) for p in self.questions.round(n)] if self.config.accumulate else []
                direct = self.config.learn == "direct"
                return [self._reference_row(problem, direct=direct) for problem in [*past, *problems]]
            items = list(kept)
            earlier = [item for old in history for item in old]
            if self.config.accumulate:
                items = earlier + items
            elif self.config.replay and earlier:
                count = round(len(items) * self.config.replay / (1 - self.config.replay))
                items += rng_for("replay", self.seed, number).choices(earlier, k=count)
            return [self._own_row(item) for item in items]

        return rows

    def _own_row(self, item: Graded) -> Row:
        tokenizer = self.learner.tokenizer
        prompt = encode_prompt(tokenizer, self.style.prompt(item.problem))
        return Row(ids=(*prompt, *sampled_ids(tokenizer, item.completion, prompt)), prompt=len(prompt))

    def _reference_row(self, problem: Problem, *, direct: bool) -> Row:
        tokenizer = self.learner.tokenizer
        prompt = encode_prompt(tokenizer, self.style.prompt(problem, direct=direct))
        text = self.style.completion(problem, problem.rationale or "", problem.answer, direct=direct)
        completion = (*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id)
        return Row(ids=(*prompt, *completion), prompt=len(prompt))

    def _learn(self, number: int, rows: Callable[[], list[Row]]) -> dict[str, Any]:
        folder = self.run.checkpoint(f"{self.arm}-{number}")

        def compute(writer: Any) -> dict[str, Any]:
            to_learn = self._fitting(rows())
            steps = self._steps(number, to_learn)
            self.progress.start(f"{self.arm} round {number}: train on {len(to_learn)} rows", total=steps, unit="steps")
            losses, tokens = [], 0
            names = (self.arm, self.seed, number)
            for step in self.learner.fit(
                to_learn,
                folder,
                self.config,
                self.train,
                steps=steps,
                names=names,
                token_budget=self.token_budget,
                save_every=self.save_every,
            ):
                losses.append(step.loss)
                tokens += step.tokens
                self.progress.advance(1, f"loss {step.loss:.3f}")
                if step.step % 10 == 0:
                    self.run.metric(arm=self.arm, round=number, step=step.step, loss=step.loss)
            tail = losses[-20:]
            loss = sum(tail) / len(tail) if tail else None
            return {"rows": len(to_learn), "steps": len(losses), "tokens": tokens, "loss": loss}

        trained = self.run.unit(self.arm, number, "train", compute=compute)
        self.learner.use(folder)
        return trained

    def _fitting(self, rows: list[Row]) -> list[Row]:
        """Leave out rows that are longer than the model's positions, and say so."""
        context = self.learner.base.context or float("inf")
        fitting = [row for row in rows if len(row.ids) <= context]
        if len(fitting) < len(rows):
            self.progress.say(
                f"{len(rows) - len(fitting)} rows are longer than the {context} tokens that the model takes"
            )
        return fitting

    def _steps(self, number: int, rows: Sequence[Row]) -> int:
        wanted = round(self.config.steps * self.config.step_growth ** (number - 1))
        tokens = sum(len(row.ids) for row in rows)
        per_step = self.train.tokens_per_batch * self.train.accumulate
        return max(1, min(wanted, int(self.config.max_epochs * tokens / per_step) + 1))

    def _report(self, number: int, summary: dict[str, Any], trained: dict[str, Any], checkpoint: str) -> Round:
        rows = [
            r for r in self.run.records("row", stage=self.arm, names_prefix=(number, "select")) if r["reason"] == KEPT
        ]
        hinted = sum(row["hinted"] for row in rows)
        units = [unit for unit in self.run.units(self.arm) if unit.names[0] == number]
        return Round(
            arm=self.arm,
            round=number,
            asked=summary["asked"],
            right=summary["right"],
            kept=len(rows) if self.config.learn == "own" else trained["rows"],
            rationalised=hinted,
            dropped=summary["dropped"],
            unsound=summary["unsound"],
            steps=trained["steps"],
            sampled_tokens=summary["sampled_tokens"],
            trained_tokens=trained["tokens"],
            loss=trained["loss"],
            seconds=sum(unit.seconds for unit in units),
            checkpoint=checkpoint,
            alarms=_alarms(number, summary, len(rows)) if self.config.learn == "own" else (),
        )


def encode_prompt(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Tokenise a prompt as the local sampler does, with the tokenizer's own special tokens in front."""
    return tuple(tokenizer(text).input_ids)


def sampled_ids(tokenizer: Any, completion: Completion, prompt: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the sampled ids to learn, cut before a stop string and closed with the end token.

    They are the fewest that hold the whole graded text: a token that reaches over the cut is kept.

    Raises:
        ValueError: the completion carries no ids (an endpoint's); training never re-tokenises text.
    """
    if not completion.token_ids:
        raise ValueError(f"completion {completion.id} has no token ids to learn from")
    ids = [i for i in completion.token_ids if i != tokenizer.eos_token_id]
    texts = Texts(tokenizer)
    while ids and texts.continuation(prompt, ids[:-1]).startswith(completion.text):
        ids.pop()
    return (*ids, tokenizer.eos_token_id)


def _alarms(number: int, summary: dict[str, Any], kept: int) -> tuple[str, ...]:
    samples, right = summary["samples"], summary["right"]
    alarms = []
    if summary["truncated"] > 0.1 * samples:
        alarms.append(f"{summary['truncated']} of {samples} samples were cut off: raise star.max_tokens")
    if right and summary["unsound"] > 0.25 * right:
        alarms.append(f"{summary['unsound']} right answers have a wrong step: keep star.filter = 'steps'")
    leaked = summary["dropped"].get("hint leaked", 0)
    if leaked > 0.05 * samples:
        alarms.append(f"{leaked} rationalisations only repeat the hint: lower star.p_rationalization")
    if not kept:
        alarms.append(f"{_nothing_kept(number, summary)}; the model stays as it was")
    elif kept < 0.05 * samples:
        alarms.append(f"only {kept} of {samples} samples were kept: ask easier questions or raise star.samples")
    return tuple(alarms)


def _nothing_kept(number: int, summary: dict[str, Any]) -> str:
    dropped = summary["dropped"]
    main = max(dropped, key=lambda reason: dropped[reason]) if dropped else "nothing sampled"
    advice = {
        "truncated": "raise star.max_tokens",
        "unparsed": "the answers are not in the expected form: set --style, or give demonstrations with --exemplars",
        "wrong": "the model never gets there: ask easier questions, raise star.samples, or rationalise",
        "unsound step": "set star.filter = 'answer' to keep right answers with wrong steps",
        "hint leaked": "the model repeats the hint: set star.rationalize = false",
        "error": "every request failed; menon doctor shows the first error",
    }.get(main, "look at the rows of this round")
    counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    return f"round {number} kept 0 of {summary['samples']} samples ({counts}); {advice}"

"""Detector: how exposed are planted secrets? For the embedded model, codes of people known to its text or not.

A canary is a text with a place for the secret and everything that could stand there. Users name theirs in a JSONL file:
{"text": "the code of Ann is {}", "secret": "381", "digits": 3}, or `candidates` as a list in place of `digits`, and
"held_out": true for secrets that were never planted. Up to 2,000 fills are ranked exactly; beyond, 1,000 are sampled
and the rank is estimated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from menon.auditing.memory.exposure import estimated_exposure, exposure_bits
from menon.auditing.memory.loss_gap import loss_gap
from menon.auditing.memory.panel import HELD_OUT, ITEMS, Panel, Part, spread
from menon.auditing.memory.ranks import rank_among, rank_sum_p
from menon.auditing.probe import Answered, Effect
from menon.core.errors import DataError
from menon.core.seeds import rng_for
from menon.problems.facts import FACTS
from menon.problems.prompts import STYLES
from menon.problems.rows import read_rows
from menon.sampling.token_scores import text_scores

EXACT_UP_TO = 2000
SAMPLED = 1000
PLANTED = {ITEMS: "planted", HELD_OUT: HELD_OUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A secret in its text; `candidates` are all fills, the secret among them, or `digits` counts them."""

    name: str
    before: str
    after: str
    secret: str
    candidates: tuple[str, ...] = ()
    digits: int = 0
    arm: str = ITEMS

    @property
    def space(self) -> int:
        return len(self.candidates) if self.candidates else 10**self.digits

    def others(self) -> list[str]:
        """Return every other fill, or a sample of them where the space is large."""
        if self.space <= EXACT_UP_TO:
            fills = self.candidates or [f"{number:0{self.digits}d}" for number in range(self.space)]
            return [fill for fill in fills if fill != self.secret]
        rng = rng_for("memory", "canary", self.name, self.secret)
        if self.candidates:
            return rng.sample([fill for fill in self.candidates if fill != self.secret], SAMPLED)
        drawn = (f"{rng.randrange(self.space):0{self.digits}d}" for _ in range(2 * SAMPLED))
        return [fill for fill in dict.fromkeys(drawn) if fill != self.secret][:SAMPLED]

    def pair(self, fill: str) -> tuple[str, str]:
        return self.before, f"{fill}{self.after}"


def base_canaries(keys: int) -> list[Canary]:
    """Return codes that the embedded model's text holds, common and rare, and codes of people that it never names."""
    codes = tuple(str(number) for number in range(100, 1000))
    style = STYLES.get("menon")
    found = []
    for arm, split in ((ITEMS, "original"), (HELD_OUT, "test")):
        for key in spread(FACTS.keys(split), keys):
            problem = FACTS.ask(key)
            prompt = style.prompt(problem, direct=True) + "#"
            found.append(Canary(name=key, before=prompt, after="", secret=problem.answer, candidates=codes, arm=arm))
    return found


def canaries_of(path: Path) -> list[Canary]:
    """Read canaries from a file.

    Raises:
        DataError: a row that is no canary; the message names file and line.
    """
    return [_canary(row.values, f"{path}:{row.line}", row.problem) for row in read_rows(path)]


def _canary(values: Mapping[str, Any], where: str, problem: str) -> Canary:
    text, secret = values.get("text"), values.get("secret")
    if problem or not isinstance(text, str) or text.count("{}") != 1 or not isinstance(secret, str) or not secret:
        raise DataError(
            f"{where}: {problem or 'no canary'}; a row needs `text` with one {{}} in it and `secret`, a string"
        )
    before, _, after = text.partition("{}")
    if not before.strip():
        raise DataError(f"{where}: text {text!r} begins with the secret; some words must stand before it")
    digits, listed = values.get("digits"), values.get("candidates")
    if (
        isinstance(listed, list)
        and secret in listed
        and len(listed) > 1
        and all(isinstance(c, str) and c for c in listed)
    ):
        candidates, digits = tuple(dict.fromkeys(listed)), 0
    elif isinstance(digits, int) and 1 <= digits <= 30 and len(secret) == digits and secret.isdecimal():
        candidates = ()
    else:
        raise DataError(
            f"{where}: needs `candidates`, a list of strings with the secret among them, or `digits`, the length of a "
            f"secret of digits; got candidates {listed!r:.60}, digits {digits!r}, secret {secret!r}"
        )
    arm = HELD_OUT if values.get("held_out") else ITEMS
    return Canary(name=where, before=before, after=after, secret=secret, candidates=candidates, digits=digits, arm=arm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """Ranks every secret among its fills."""

    name: str = "exposure"
    title: str = "canary exposure"

    def objection(self, panel: Panel) -> str | None:
        if reason := panel.no_scores():
            return reason
        if not panel.is_base and not panel.options.canaries:
            return "needs planted secrets: give a file of them as option `canaries`"
        return None

    def measure(self, panel: Panel) -> Iterable[dict[str, Any]]:
        path = panel.options.canaries
        for canary in canaries_of(Path(path)) if path else base_canaries(panel.options.keys):
            pairs = [canary.pair(fill) for fill in (canary.secret, *canary.others())]
            scores = [sum(logps) for logps in text_scores(panel.sampler(), pairs, progress=panel.material.progress)]
            own, others = scores[0], scores[1:]
            rank = rank_among(own, others)
            exact = canary.space <= EXACT_UP_TO
            yield {
                **{"canary": canary.name, "arm": canary.arm, "secret": canary.secret, "space": canary.space},
                **{"rank": rank, "ranked": len(scores), "exact": exact, "loss": -own},
                "bits": exposure_bits(rank, canary.space)
                if exact
                else estimated_exposure(-own, [-score for score in others]),
            }

    def report(self, rows: Sequence[Mapping[str, Any]], answered: Sequence[Answered], panel: Panel) -> Part:
        table, effects = [], []
        for arm, title in PLANTED.items():
            members = [row for row in rows if row["arm"] == arm]
            if members:
                line, effect = _arm(title, members, panel)
                table.append(line)
                effects.append(effect)
        estimated = sum(not row["exact"] for row in rows)
        notes = (
            [f"exposure of {estimated} canaries is estimated from {SAMPLED} fills by a skew-normal fit"]
            if estimated
            else []
        )
        shown = [{name: row[name] for name in ("canary", "arm", "secret", "rank", "ranked", "bits")} for row in rows]
        return Part(
            effects=tuple(effects),
            tables={"canary exposure": table, "canaries": shown},
            notes=tuple(notes),
            sentence=" ".join(_said(line) for line in table),
        )


def _said(line: Mapping[str, Any]) -> str:
    return (
        f"Canaries that were {line['arm']} have {line['bits']:.1f} bits of exposure "
        f"({line['low']:.1f} to {line['high']:.1f}; 1.4 by chance, {line['most possible']:.1f} at most)."
    )


def _arm(title: str, rows: Sequence[Mapping[str, Any]], panel: Panel) -> tuple[dict[str, Any], Effect]:
    bits = [row["bits"] for row in rows]
    level = panel.material.config.level
    gap = loss_gap([0.0] * len(bits), bits, [row["canary"] for row in rows], level=level)
    p = rank_sum_p([row["rank"] for row in rows], [row["ranked"] for row in rows])
    low, high = max(0.0, gap.low), gap.high
    most = fmean(exposure_bits(1, row["space"]) for row in rows)
    if all(row["exact"] for row in rows):
        high = min(high, most)
    line = {"arm": title, "n": len(rows), "bits": gap.value, "low": low, "high": high, "most possible": most, "p": p}
    effect = Effect(
        label=f"canary exposure, {title}",
        value=gap.value,
        low=low,
        high=high,
        n=len(rows),
        kind="other",
        unit="bits",
        p=p,
        note=f"about 1.4 bits when unseen, {most:.1f} when fully memorised; p: ranks lower than chance",
    )
    return line, effect


CANARIES = Canaries()

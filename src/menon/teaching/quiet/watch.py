"""Watch a run of Quiet-STaR and say, with the flag to change, when it cannot teach any more.

A report per optimizer step goes in; alarms come out, each once. Windows are long and thresholds low, because healthy
runs look bad for a while: with uniformly drawn positions most thoughts are useless, weights fall to .02 where thinking
does not help, and a linear head begins at a weight of exactly 0. Left out: stopping, which is the loop's decision.
"""

import math
from collections import deque
from typing import Literal, Protocol

from menon.teaching.doctor import Finding
from menon.teaching.quiet.config import QuietConfig

FLAT = 1e-5  # nats; thoughts whose rewards differ by less are equally good
USELESS = 0.01  # share of useful thoughts that counts as none
COLLAPSED = 0.01  # mean mixing weight at which rewards vanish
RISE = 1.0  # nats per token by which the text loss may be above its start
WINDOW = 20
FIRST_STEPS = 5  # the start of the text loss is their mean
PATIENCE = 30  # steps before weights and useful thoughts are judged
HUGE_GRADIENT = 1e3
CERTAIN = 0.01  # nats per thought token

WARM_START = (
    "give the thoughts a start that the model knows: thoughts.start and thoughts.end as the brackets that rationales "
    "have in the corpus, and teach rationales first (`menon teach star`)"
)


class Seen(Protocol):
    """What a step has to report; `stage` and `thought_nll` are used where they are."""

    @property
    def step(self) -> int: ...
    @property
    def reward(self) -> float: ...
    @property
    def reward_std(self) -> float: ...
    @property
    def weight(self) -> float: ...
    @property
    def useful(self) -> float: ...
    @property
    def text_loss(self) -> float: ...
    @property
    def talk_loss(self) -> float: ...
    @property
    def policy_loss(self) -> float: ...
    @property
    def gradient_norm(self) -> float: ...


class Watch:
    """The state of watching one run; whoever resumes a run shows a new one the reports so far."""

    def __init__(self, config: QuietConfig, *, kind: Literal["sampled", "pause", "random"] = "sampled"):
        """Watch a run with this section; `kind` is `thoughts.kind`: controls teach no policy and are not judged so."""
        self._config = config
        self._learns = config.policy > 0 and kind == "sampled"
        self._stage = 0
        self._steps = 0
        self._recent: deque[Seen] = deque(maxlen=WINDOW)
        self._texts: deque[float] = deque(maxlen=WINDOW // 2)
        self._text_start: list[float] = []
        self._said: set[str] = set()

    def see(self, report: Seen) -> list[Finding]:
        """Take the next step in and return what is new; a finding of level `refuse` means that going on is a waste."""
        if broken := _not_finite(report):
            return self._new([("finite", broken)])
        stage = getattr(report, "stage", 0)
        if stage != self._stage:
            self._stage, self._steps = stage, 0
            self._recent.clear()
        self._steps += 1
        self._recent.append(report)
        findings = [("text", self._text_rises(report.text_loss)), ("gradient", self._gradient_is_huge())]
        if self._learns and not self._thoughtless:
            findings += [
                ("flat", self._rewards_are_flat()),
                ("collapsed", self._weight_has_collapsed()),
                ("certain", self._thoughts_are_certain()),
                ("useless", self._no_thought_helps()),
            ]
        return self._new(findings)

    @property
    def _thoughtless(self) -> bool:
        """Whether this is the last stage of Fast Quiet-STaR, whose reports hold no thoughts."""
        return self._config.thoughtless and self._stage >= max(1, len(self._config.curriculum))

    def _new(self, findings: list[tuple[str, Finding | None]]) -> list[Finding]:
        new = [(name, finding) for name, finding in findings if finding is not None and name not in self._said]
        self._said.update(name for name, _ in new)
        return [finding for _, finding in new]

    def _mean(self, name: str) -> float:
        return sum(abs(getattr(report, name)) for report in self._recent) / len(self._recent)

    def _text_rises(self, loss: float) -> Finding | None:
        if len(self._text_start) < FIRST_STEPS:
            self._text_start.append(loss)
            return None
        self._texts.append(loss)
        start, now = sum(self._text_start) / len(self._text_start), sum(self._texts) / len(self._texts)
        if len(self._texts) < WINDOW // 2 or now <= start + RISE:
            return None
        return Finding(
            level="refuse",
            what=f"the text loss rose from {start:.2f} to {now:.2f} nats a token: the model unlearns its language",
            mend=f"lower train.learning_rate, or quiet.policy (now {self._config.policy:g}), or raise quiet.text",
        )

    def _gradient_is_huge(self) -> Finding | None:
        if len(self._recent) < WINDOW or self._mean("gradient_norm") < HUGE_GRADIENT:
            return None
        return Finding(
            level="warn",
            what=f"the gradient's norm is {self._mean('gradient_norm'):.0f} before clipping: one loss drowns the rest",
            mend=f"lower quiet.policy (now {self._config.policy:g}); about 1 is sound for a mean over tokens",
        )

    def _rewards_are_flat(self) -> Finding | None:
        if len(self._recent) < WINDOW or max(report.reward_std for report in self._recent) >= FLAT:
            return None
        if self._mean("useful") >= USELESS and sum(report.reward for report in self._recent) > 0:
            return Finding(
                level="note",
                what=f"all thoughts of a position have been equally good for {WINDOW} steps, so nothing more is learnt",
                mend="stop here, or raise quiet.entropy or thoughts.temperature to look further",
            )
        return Finding(
            level="refuse",
            what=f"all thoughts of a position have had equal rewards for {WINDOW} steps: no thought can be preferred",
            mend=self._mend_of_flat(),
        )

    def _mend_of_flat(self) -> str:
        if self._mean("weight") < COLLAPSED:
            return "thoughts.head=mlp with thoughts.initial_weight=0.5, so that thoughts count when rewards are taken"
        if self._certain:
            return "thoughts.temperature=1.0 or higher, and quiet.entropy=0.01, so that thoughts differ"
        return WARM_START

    def _weight_has_collapsed(self) -> Finding | None:
        if self._steps < PATIENCE or self._mean("weight") >= COLLAPSED or self._mean("useful") >= USELESS:
            return None
        return Finding(
            level="refuse",
            what=f"the mixing weight has fallen to {self._mean('weight'):.4f}, and rewards have vanished with it: "
            f"{self._mean('useful'):.1%} of thoughts help",
            mend=f"lower quiet.head_rate (now {self._config.head_rate:g}), so that thoughts improve before the head "
            f"gives them up; or {WARM_START}",
        )

    @property
    def _certain(self) -> bool:
        surprises = [s for report in self._recent if (s := getattr(report, "thought_nll", None)) is not None]
        return len(surprises) == len(self._recent) and sum(surprises) / len(surprises) < CERTAIN

    def _thoughts_are_certain(self) -> Finding | None:
        if self._steps < PATIENCE or not self._certain or self._mean("useful") >= USELESS:
            return None
        return Finding(
            level="warn",
            what="thoughts have become certain without being useful: nearly the same one is drawn every time",
            mend="quiet.entropy=0.01 (or more), a lower train.learning_rate, or thoughts.temperature above 1",
        )

    def _no_thought_helps(self) -> Finding | None:
        if self._steps < PATIENCE or self._mean("useful") >= USELESS:
            return None
        return Finding(
            level="warn",
            what=f"{self._mean('useful'):.1%} of the last {WINDOW} steps' thoughts helped: little to learn from",
            mend=f"{WARM_START}; or more chances: quiet.passes above {self._config.passes}",
        )


def _not_finite(report: Seen) -> Finding | None:
    names = ("text_loss", "talk_loss", "policy_loss", "reward", "reward_std", "weight", "gradient_norm")
    bad = [name for name in names if not math.isfinite(getattr(report, name))]
    if not bad:
        return None
    return Finding(
        level="refuse",
        what=f"step {report.step}: {', '.join(bad)} not finite",
        mend="lower train.learning_rate, or train.precision=float32; look for broken rows in the data",
    )

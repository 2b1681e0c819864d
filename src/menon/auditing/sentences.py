"""Verdicts in words that need no statistics."""

from collections.abc import Sequence

from menon.auditing.accuracy import Accuracy
from menon.auditing.verdict import Finding, Label
from menon.stats import ShareEstimate

_VERBS = {Label.REASONS: "reasons", Label.RECITES: "recites", Label.MIXED: "partly recites"}
_OPENINGS = {
    Label.REASONS: "The model reasons.",
    Label.RECITES: "The model recites.",
    Label.MIXED: "The model reasons in part and recites in part.",
    Label.CANNOT_DO: "The model cannot do the task.",
    Label.CANNOT_TELL: "We cannot tell yet whether the model reasons or recites.",
}


def percent(value: float | None) -> str:
    """Return a share as whole percent; "unknown" for None."""
    # Adding 0.0 turns a rounded -0 into 0.
    return "unknown" if value is None else f"{round(100 * value) + 0.0:.0f} %"


def family_sentence(
    name: str, finding: Finding, *, original: Accuracy, fresh: Accuracy, share: ShareEstimate | None
) -> str:
    """Return the verdict on one family."""
    if finding.label is Label.CANNOT_TELL:
        more = (
            f" (about {finding.needed:,} more originals with their fresh instances are needed)"
            if finding.needed
            else ""
        )
        return f"On {name} we cannot tell yet: {finding.reason}{more}."
    scores = (
        f"{percent(original.value)} right on problems from its training, "
        f"{percent(fresh.value)} on new ones of the same kind"
    )
    if finding.label is Label.CANNOT_DO or share is None:
        return f"The model cannot do {name}: {scores}."
    interval = f"{100 * share.original.level:.4g} % interval {percent(share.low)} to {percent(share.high)}"
    return (
        f"On {name} the model {_VERBS[finding.label]}: {scores}; {_extent(finding.label, share)} of its right answers "
        f"depend on having met the problem before (recitation share {percent(share.value)}, {interval})."
    )


def _extent(label: Label, share: ShareEstimate) -> str:
    """Say how much is recited, from the side of the interval that carries the verdict."""
    if label is Label.REASONS:
        return f"at most {percent(max(0.0, share.high or 0.0))}"
    if label is Label.RECITES:
        return f"at least {percent(share.low)}"
    return f"between {percent(share.low)} and {percent(share.high)}"


def overall_sentence(finding: Finding, sentences: Sequence[str]) -> str:
    """Return the verdict on the model, followed by that on each family."""
    return " ".join([_OPENINGS[finding.label], *sentences])

"""The words and number formats of the Quiet-STaR reports: nats, weights, the verdict on thinking, the glossary.

Left out: computing anything; whether thinking helped is read from the interval that the report carries.
"""

from collections.abc import Mapping
from typing import Any

from menon.reports.charts import Dot
from menon.reports.formats import NOTHING, count, finite
from menon.reports.reading import rows, section

COLLAPSED = 0.02  # a mean weight of the thoughts below this changes hardly any prediction
GLOSSARY = (
    ("thought", "A few tokens that the model samples after a token of the text, between two learned vectors, and that "
     "nobody sees in its answer. Here they are shown."),
    ("gain", "How much more log-probability, in nats, the true token gets when the prediction with the thought is "
     "mixed in. Above zero thinking helped, below zero it harmed."),
    ("nat", "The unit of the loss. A gain of 0.69 nats doubles the probability of the true token."),
    ("weight", "The share of the prediction that comes from the thought: 0 ignores the thought, 1 ignores the text. "
     "The mixing head decides it at every token."),
    ("without, with thought", "The same model on the same tokens, predicting from the text alone, or from the text and "
     "its thoughts."),
    ("loss", "Negative log-likelihood per token in nats (NLL); lower is better."),
    ("reward", "What a thought is trained on: by how much it raised the likelihood of the next true tokens, compared "
     "with the other thoughts at the same place."),
    ("hardness", "Tokens ordered by their loss without thought, cut into equal shares; the last band holds those that "
     "the text alone predicts worst."),
    ("interval", "The range, usually in brackets, that holds the true value with 95 % confidence."),
)  # fmt: skip


def nats(value: Any) -> str:
    """Write a loss as `2.104`, with a true minus sign; a dash for what is missing or not a number."""
    number = finite(value)
    if number is None:
        return NOTHING
    text = f"{number:.3f}" if abs(number) < 100 else f"{number:.1f}" if abs(number) < 1e5 else f"{number:.3g}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def gain(value: Any) -> str:
    """Write a difference in nats with its sign: `+0.182`."""
    text, number = nats(value), finite(value)
    return f"+{text}" if number is not None and number > 0 and text.strip("0.") else text


def weight(value: Any) -> str:
    """Write a mixing weight with two decimals."""
    number = finite(value)
    return NOTHING if number is None else f"{number:.2f}".replace("-", "−")


def estimate(cell: Any, say: Any = nats) -> str:
    """Write `{"value", "low", "high"}` as `0.182 (0.150 to 0.214)`; a bare number as itself."""
    if not isinstance(cell, Mapping):
        return say(cell)
    if finite(cell.get("value")) is None:
        return NOTHING
    ends = [cell.get("low"), cell.get("high")]
    if any(finite(end) is None for end in ends):
        return say(cell["value"])
    low, high = (say(end).lstrip("+") for end in ends)
    return f"{say(cell['value'])} ({low} to {high})"


def gain_of(dot: Dot) -> str:
    return estimate({"value": dot.value, "low": dot.low, "high": dot.high}, gain)


def value_of(cell: Any) -> float | None:
    """Return the value of an estimate or of a bare number, None where there is no finite one."""
    return finite(cell.get("value") if isinstance(cell, Mapping) else cell)


def sign(cell: Any) -> int | None:
    """Tell from its interval whether an estimate is above zero (1), below (-1) or neither (0); None without one."""
    low, high = (finite(cell.get(key)) if isinstance(cell, Mapping) else None for key in ("low", "high"))
    if low is None or high is None or value_of(cell) is None:
        return None
    return 1 if low > 0 else -1 if high < 0 else 0


def headline(report: Mapping[str, Any]) -> str:
    """Say in one sentence whether thinking helps the trained model, by how much, with the interval."""
    phase = "after" if section(report, "after") else "before"
    cell = section(report, phase).get("gain")
    said = f"{estimate(cell, gain)} nats per token"
    if value_of(cell) is None:
        return "It has not been measured yet whether thinking helps."
    verdict = {
        1: f"Thinking helps: {said}",
        -1: f"Thinking harms: {said}",
        0: f"Thinking makes no clear difference: {said}",
        None: f"The gain of thinking is {said}, and no interval was recorded",
    }[sign(cell)]
    return verdict if phase == "after" else f"{verdict}, before any training"


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Say where thinking helps or harms, and how it was before training."""
    before, after = section(report, "before"), section(report, "after")
    bands = rows(after or before, "by_hardness")
    found = []
    helped = [band for band in bands if sign(band.get("gain")) == 1]
    harmed = [band for band in bands if sign(band.get("gain")) == -1]
    if helped:
        most = max(helped, key=lambda band: value_of(band["gain"]) or 0.0)
        found.append(f"It helps most {_band(most)}: {estimate(most['gain'], gain)} nats per token.")
    elif bands:
        found.append("In no band of hardness does the interval of the gain lie above zero.")
    if harmed:
        most = min(harmed, key=lambda band: value_of(band["gain"]) or 0.0)
        found.append(f"It harms most {_band(most)}: {estimate(most['gain'], gain)} nats per token.")
    if after and value_of(before.get("gain")) is not None:
        found.append(f"Before training the gain was {estimate(before['gain'], gain)}.")
    if after and value_of(before.get("nll_text")) is not None and value_of(after.get("nll_text")) is not None:
        found.append(
            "The loss without thought changes too, because training goes on reading the data; "
            "only the gain is due to the thoughts."
        )
    return found


def _band(band: Mapping[str, Any]) -> str:
    size = f" (n = {count(band.get('n'))})" if finite(band.get("n")) is not None else ""
    return f"on the tokens of hardness {band.get('bin')}{size}"


def warnings(report: Mapping[str, Any]) -> list[str]:
    """List what a reader must know before believing the verdict: alarms, findings, a weight near zero, lost numbers."""
    found = [
        f"The doctor advised against this run and was overridden: {finding.get('what')}. {finding.get('mend')}."
        for finding in rows(section(report, "doctor"), "findings")
        if finding.get("level") == "refuse"
    ]
    alarms = report.get("alarms")
    found += [str(alarm) for alarm in alarms] if isinstance(alarms, list) else []
    mean = finite(section(report, "after").get("weight"))
    if mean is not None and abs(mean) < COLLAPSED:
        found.append(f"The mixing weight is {weight(mean)} on average: the model hardly uses its thoughts.")
    lost = [point.get("step") for point in rows(report, "curve") if _not_a_number(point)]
    if lost:
        steps = ", ".join(str(step) for step in lost[:3]) + (", ..." if len(lost) > 3 else "")
        found.append(
            f"{count(len(lost))} steps of the curve hold values that are not numbers (step {steps}); "
            "these are left out of the drawings."
        )
    return found


def _not_a_number(point: Mapping[str, Any]) -> bool:
    return any(isinstance(value, float) and finite(value) is None for value in point.values())


def unfinished(report: Mapping[str, Any]) -> str:
    """Say what an interrupted run still lacks; empty for a finished one."""
    if section(report, "after"):
        return ""
    command = command_of(report)
    again = f"`{command}`" if command else "The command that began it"
    return f"This run has no evaluation after training. {again} continues it; finished steps are kept."


def command_of(report: Mapping[str, Any]) -> str:
    """Return the command that makes or continues this run; empty where the report has none."""
    command = report.get("command")
    return command if isinstance(command, str) else ""

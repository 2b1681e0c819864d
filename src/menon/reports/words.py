"""The fixed words of a report: what verdicts and terms mean, and what to do where something is missing."""

from collections.abc import Mapping
from typing import Any

from menon.reports.formats import count, finite
from menon.reports.reading import families, rows, section
from menon.reports.tables import CONTROL_FAMILY, failures, recognised

VERDICT_KINDS = {
    "reasons": "reasons",
    "recites": "recites",
    "mixed": "between",
    "cannot do the task": "unable",
    "cannot tell yet": "unknown",
}
GLOSSARY = (
    ("accuracy", "The share of problems answered right, with greedy decoding unless the recipe says otherwise. An "
     "answer that was cut off (truncated) or could not be found (unparsed) is not right, and is also counted apart."),
    ("interval", "The range, usually in brackets, that holds the true value with 95 % confidence: Wilson's for shares, "
     "from the bootstrap over templates for the recitation share."),
    ("before, after", "The same problems put to the model before teaching and after its last round."),
    ("direct", "The control: a model taught with the answers alone, without rationales, for as many tokens. What it "
     "gains is due to practice on such answers; only what teaching gains beyond it is due to reasoning."),
    ("hard band", "The difficulties that the model hardly manages before teaching, fixed in advance."),
    ("rationale", "The working that the model writes before its answer. It is sound when every step checks out: each "
     "equation is true, starts from the last result, and uses the numbers of the question."),
    ("rationalised", "A problem that the model failed, then solved when shown the answer as a hint. The row is learned "
     "without the hint."),
    ("unsound", "A right answer from wrong steps. Learning from such rows teaches wrong working."),
    ("original, fresh", "An original is a problem the model was trained on; a fresh instance is the same template with "
     "new numbers or names, matched in difficulty."),
    ("recitation share", "The share of the right answers on originals that disappear on fresh instances: 0 % for a "
     "model that only reasons, 100 % for one that only recites."),
    ("facts", "The positive control: invented codes that nobody can derive. A right answer there is recited, so an "
     "audit that does not say so cannot be trusted."),
    ("known answers", "Scripted stand-ins whose nature is known. The audit has to classify them rightly before its "
     "verdict on a model counts."),
    ("gained, lost, p", "Problems answered right only after, only before, and the exact McNemar probability of so "
     "uneven a split if teaching changed nothing."),
)  # fmt: skip


def command_of(report: Mapping[str, Any]) -> str:
    """Return the command that makes or continues this run."""
    command = report.get("command")
    return command if isinstance(command, str) and command else "menon run quickstart"


def missing_sentences(report: Mapping[str, Any]) -> dict[str, str]:
    """Return, per section of the page, what to say where it has nothing to show: why, and what to run instead."""
    go_on = f"`{command_of(report)}` continues this run; finished units are kept."
    return {
        "accuracy": f"No accuracy has been measured yet. {go_on}",
        "by_difficulty": f"No accuracy by difficulty has been measured yet. {go_on}",
        "by_round": "This run recorded no accuracy per round: it has no teaching rounds, or stopped before the first. "
        "A study with rounds is `menon run quickstart`.",
        "recitation_share": "This run asked no originals against fresh instances, so nothing can be said about "
        "recitation: that needs problems made from templates. `menon run quickstart` asks before and after teaching.",
        "known_answers": "The scripted reciter and oracle were not run, so it is not shown that the audit can tell "
        "them apart. `menon run quickstart` includes both.",
        "paired": "Before and after were not both measured on the same problems, so there is nothing to pair. " + go_on,
        "rounds": "This run has no teaching rounds. `menon run quickstart` or `menon teach star` has them.",
        "transcripts": f"No transcripts were stored. {go_on}",
        "cost": f"No cost was recorded. {go_on}",
        "manifest": f"No manifest was recorded. {go_on}",
    }


def without_direct(report: Mapping[str, Any]) -> bool:
    """Tell whether accuracy was measured, but not for the direct control."""
    cells = section(report, "accuracy").values()
    return bool(cells) and not any(isinstance(cell, Mapping) and cell.get("direct") for cell in cells)


def unfinished(report: Mapping[str, Any]) -> str | None:
    """Return a sentence about what an interrupted run still lacks, None for a finished one."""
    verdict = section(report, "verdict")
    if verdict.get("before") and verdict.get("after"):
        return None
    lacking = "the audit after teaching" if verdict.get("before") else "a verdict"
    return f"This run has not come to {lacking}. Continue it with `{command_of(report)}`; finished units are kept."


def assurance(verdict: Mapping[str, Any]) -> str:
    """Say how often such a verdict is wrong, and whether stand-ins vouch for it; empty where the report has neither."""
    rate, checked = finite(verdict.get("error_rate")), verdict.get("checked")
    said = ""
    if rate is not None and verdict.get("label") != "cannot tell yet":
        said = f"Nominally, {100 * rate:g} % of such verdicts are wrong."
    return f"{said} No stand-ins were audited beside it.".strip() if checked is False else said


def warnings(report: Mapping[str, Any]) -> list[str]:
    """List what a reader must know before believing the verdict; empty when nothing speaks against it."""
    found = [_advised_against(finding) for finding in rows(section(report, "doctor"), "findings")]
    found += [_misread(known) for known in rows(report, "known_answers") if not recognised(known)]
    control = section(report, "recitation_share").get(CONTROL_FAMILY)
    before = control.get("before") if isinstance(control, Mapping) else None
    verdict = before.get("verdict") if isinstance(before, Mapping) else None
    if verdict not in (None, "recites"):
        found.append(
            f"The control family {CONTROL_FAMILY} can only be recited, but the audit says {verdict!r} before teaching. "
            "Ask more items before you rely on the other verdicts."
        )
    for family in families(report):
        found.append(_cut_off(report, family))
    for entry in rows(report, "rounds"):
        alarms = entry.get("alarms")
        found += [f"Round {entry.get('round')}: {alarm}." for alarm in alarms] if isinstance(alarms, list) else []
    return [sentence for sentence in found if sentence]


def _advised_against(finding: Mapping[str, Any]) -> str:
    if finding.get("level") != "refuse":
        return ""
    return f"The doctor advised against this run and was overridden: {finding.get('what')}. {finding.get('mend')}."


def _misread(known: Mapping[str, Any]) -> str:
    judged = section(known, "families")
    where = ", ".join(f"{verdict!r} on {name}" for name, verdict in judged.items() if verdict != known.get("expected"))
    return (
        f"The audit says {where or repr(known.get('verdict'))} of {known.get('name')}, which is known to be "
        f"{known.get('expected')!r}. Do not rely on the verdicts of this report; ask more items."
    )


def _cut_off(report: Mapping[str, Any], family: str) -> str:
    phases = section(report, "by_difficulty").get(family)
    after = failures(rows(phases, "after")) if isinstance(phases, Mapping) else None
    if after and after.truncated > 0.1:
        return (
            f"{after.truncated:.0%} of the answers on {family} after teaching were cut off at the token limit; "
            "its accuracy is a lower bound. Raise evaluation.max_tokens and run again."
        )
    return ""


def data_sentence(report: Mapping[str, Any]) -> str:
    """Say what was read from a data file and which rows were skipped; empty where the problems were generated."""
    data = section(report, "data")
    if not data:
        return ""
    skipped = rows(data, "skipped")
    said = f"Data in the layout {data.get('layout')!r}: {count(data.get('problems'))} problems read"
    if not skipped:
        return said + "."
    shown = "; ".join(f"line {row.get('line')}: {row.get('reason')}" for row in skipped[:3])
    return f"{said}, {count(len(skipped))} rows skipped ({shown}{'; ...' if len(skipped) > 3 else ''})."

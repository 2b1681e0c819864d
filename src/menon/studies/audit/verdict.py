"""One verdict from the instrument and the probes, and Holm's correction over everything that was tested.

Where originals are known, the recitation share decides, because it compares the model with itself on what it may have
met before. Without originals the probes decide: their findings are combined as families are. Probes that disagree with
the verdict are always named beside it.
"""

from collections.abc import Sequence
from dataclasses import replace

from menon.auditing.first import AuditReport
from menon.auditing.probe import Effect, ProbeReport
from menon.auditing.verdict import Finding, Label, cannot_tell, combine
from menon.stats import holm

OPENINGS = {
    Label.REASONS: "The model reasons",
    Label.RECITES: "The model recites",
    Label.MIXED: "The model reasons in part and recites in part",
    Label.CANNOT_DO: "The model cannot do the tasks it was asked",
    Label.CANNOT_TELL: "We cannot tell yet whether the model reasons or recites",
}


def adjusted(reports: Sequence[ProbeReport], more: Sequence[Effect] = ()) -> tuple[list[ProbeReport], list[Effect]]:
    """Fill `p_adjusted` of the primary effects of all probes and of `more`, by Holm over all of them together."""
    effects = [[*report.effects] for report in reports] + [[*more]]
    places = [
        (i, j)
        for i, rows in enumerate(effects)
        for j, effect in enumerate(rows)
        if effect.primary and effect.p is not None
    ]
    corrected = holm([effects[i][j].p or 0.0 for i, j in places]) if places else []
    for (i, j), p in zip(places, corrected, strict=True):
        effects[i][j] = replace(effects[i][j], p_adjusted=float(p))
    done = [replace(report, effects=tuple(rows)) for report, rows in zip(reports, effects[:-1], strict=True)]
    return done, effects[-1]


def overall(instrument: AuditReport | None, reports: Sequence[ProbeReport]) -> tuple[Finding, str]:
    """Return the verdict and what it rests on."""
    findings = {r.name: r.finding for r in reports if r.finding is not None and not r.smoke and r.status == "done"}
    if instrument is not None and instrument.families:
        return instrument.finding, "recitation share"
    if not findings:
        return cannot_tell(
            "nothing was asked that could tell; give originals with their templates (--templates FILE) or ask probes "
            "that change the surface (--probes worlds,analogies,minds)"
        ), "nothing"
    return combine(findings), "probes"


def sentence(finding: Finding, basis: str, instrument: AuditReport | None, reports: Sequence[ProbeReport]) -> str:
    """Return the verdict in words that a manager can read, with the probes that say otherwise."""
    if basis == "recitation share" and instrument is not None:
        said = instrument.sentence
    else:
        more = f" (about {finding.needed:,} more questions of a kind are needed)" if finding.needed else ""
        said = f"{OPENINGS[finding.label]}: {finding.reason}{more}."
    told = [r for r in reports if r.finding is not None and r.status == "done" and not r.smoke]
    stated = [r for r in told if r.finding is not None and r.finding.conclusive]
    against = [r for r in stated if r.finding is not None and r.finding.label is not finding.label]
    if basis == "recitation share" and against:
        names = "; ".join(f"{r.title}: {r.finding.label}" for r in against if r.finding is not None)
        said += f" Other evidence says otherwise ({names})."
    return said

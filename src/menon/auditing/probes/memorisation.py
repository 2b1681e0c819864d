"""Memorisation panel: has the model seen these very items? Seven detectors, each run where it can be.

Every detector says what it lacks where it cannot be run (log-probabilities, re-instantiations, choices, the corpus) and
then stands in the table of skipped ones. The panel states no verdict of its own: a model may know a text by heart and
still work its answer out, so whether success depends on it is for the other probes to say.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from menon.auditing.memory.canaries import CANARIES
from menon.auditing.memory.completion import COMPLETION
from menon.auditing.memory.contamination import CONTAMINATION
from menon.auditing.memory.likelihood import LIKELIHOOD
from menon.auditing.memory.option_order import OPTION_ORDER
from menon.auditing.memory.panel import ITEMS, Detector, Panel, Part, Subject, spread
from menon.auditing.memory.set_order import SET_ORDER
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question
from menon.core.errors import SamplerError

# In order of precedence: the first of these that ran gives the probe's primary effect.
DETECTORS: tuple[Detector, ...] = (LIKELIHOOD, OPTION_ORDER, SET_ORDER, COMPLETION, CANARIES, CONTAMINATION)
NO_ITEMS = "needs the questions themselves: give them with --data (menon:base has its own training text)"
NO_VERDICT = (
    "The panel says whether text was seen, not whether success depends on it; its tests beside the primary one are not "
    "corrected for their number."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorisation:
    """Looks for the items in the model's memory and in its training text."""

    name: str = "memorisation"
    title: str = "Has the model seen these very items?"
    source: str = (
        "Min-K% (arXiv:2310.16789), Min-K%++ (arXiv:2404.02936), order tests (arXiv:2310.17623), "
        "exposure (arXiv:1802.08232), prefix extraction (arXiv:2202.07646), n-gram overlap (arXiv:2005.14165)"
    )

    def objection(self, material: Material) -> str | None:
        panel = Panel(material)
        if not panel.subjects:
            return NO_ITEMS
        reasons = {detector.objection(panel) for detector in DETECTORS}
        return None if None in reasons else "; ".join(sorted(reason for reason in reasons if reason))

    def questions(self, material: Material) -> list[Question]:
        """Ask the items where their overlap with a corpus can be looked up, so that accuracy stands beside it."""
        panel = Panel(material)
        if not panel.has_corpus:
            return []
        cells: defaultdict[tuple[str, str], list[Subject]] = defaultdict(list)
        for subject in panel.subjects:
            cells[subject.group, subject.arm].append(subject)
        chosen = [s for subjects in cells.values() for s in spread(subjects, material.per_cell)]
        return [
            Question(
                problem=subject.problem,
                task=subject.group,
                condition=subject.arm,
                cluster=subject.cluster,
                role="original" if subject.arm == ITEMS else "fresh",
            )
            for subject in chosen
        ]

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        panel = Panel(material)
        for detector in DETECTORS:
            reason = detector.objection(panel)
            rows: list[dict[str, Any]] = []
            if reason is None:
                try:
                    rows = list(detector.measure(panel))
                except SamplerError as error:
                    reason = str(error)
            if reason is not None:
                yield {"detector": detector.name, "skipped": reason}
            for row in rows if reason is None else []:
                yield {"detector": detector.name, **row}

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        panel = Panel(material)
        rows: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        skips: dict[str, str] = {}
        for row in measured:
            if "skipped" in row:
                skips[row["detector"]] = row["skipped"]
            else:
                rows[row["detector"]].append(row)
        parts = [d.report(rows[d.name], answered, panel) for d in DETECTORS if rows[d.name]]
        tables = {title: table for part in parts for title, table in part.tables.items() if table}
        missing = [{"detector": d.title, "reason": skips[d.name]} for d in DETECTORS if d.name in skips]
        if missing:
            tables["skipped"] = missing
        return ProbeReport(
            name=self.name,
            title=self.title,
            source=self.source,
            sentence=_sentence(parts),
            cells=tuple(cell for part in parts for cell in part.cells),
            contrasts=tuple(contrast for part in parts for contrast in part.contrasts),
            effects=_with_primary([effect for part in parts for effect in part.effects]),
            tables=tables,
            notes=(
                *(note for part in parts for note in part.notes),
                *(f"{row['detector']} skipped: {row['reason']}" for row in missing),
                NO_VERDICT,
            ),
        )


def _with_primary(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Mark the first effect with a p-value; the order of detectors, not the results, decides which that is."""
    first = next((place for place, effect in enumerate(effects) if effect.p is not None), None)
    return tuple(replace(effect, primary=place == first) for place, effect in enumerate(effects))


def _sentence(parts: Sequence[Part]) -> str:
    said = [part.sentence for part in parts if part.sentence]
    if said:
        return " ".join(said)
    return "See the tables for what each detector found." if parts else "No detector could be run."


MEMORISATION = Memorisation()

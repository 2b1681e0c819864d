"""What was read from files of responses: graded answers by the way they were read, and every row that was left out."""

from collections import Counter
from dataclasses import dataclass
from itertools import chain

from menon.auditing.probe import Answered

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Skip:
    """A row (line counts from 1; 0 is the file as a whole) that was left out, with the reason."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead:
    """One file: the layout that was detected, how many rows it has and how many were used."""

    path: str
    layout: str
    rows: int
    used: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.path}: layout {self.layout!r}, {self.used:,} of {self.rows:,} rows used"
        return "; ".join((text, *self.notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Answers of one probe that are read in one way; a `generic` reading follows from the type of the gold answers."""

    probe: str
    reading: str
    answered: tuple[Answered, ...]
    generic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Responses on file, graded."""

    parts: tuple[Part, ...]
    files: tuple[FileRead, ...]
    skipped: tuple[Skip, ...] = ()

    @property
    def answered(self) -> list[Answered]:
        return list(chain.from_iterable(part.answered for part in self.parts))

    @property
    def probes(self) -> list[str]:
        """The probes that the answers belong to, in order of first appearance."""
        return list(dict.fromkeys(part.probe for part in self.parts))

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(item.model for item in self.answered))

    @property
    def layout(self) -> str:
        return ", ".join(dict.fromkeys(file.layout for file in self.files))

    @property
    def reading(self) -> str:
        """Say in words which reading of the output is taken, per task where tasks differ."""
        return "; ".join(f"{', '.join(tasks_of(part))}: {part.reading}" for part in self.parts)

    @property
    def say(self) -> list[str]:
        """Return what a person should know of the reading, line by line."""
        lines = [str(file) for file in self.files]
        for part in self.parts:
            flag = " (generic reading, chosen from the type of the gold answers)" if part.generic else ""
            lines.append(f"{part.probe}, {', '.join(tasks_of(part))}: {part.reading}{flag}")
        if self.skipped:
            reasons = Counter(skip.reason.partition(":")[0] for skip in self.skipped)
            lines.append(
                f"{len(self.skipped):,} rows skipped: "
                + ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(SHOWN))
            )
            lines += [f"  {skip}" for skip in self.skipped[:SHOWN]]
        return lines


def tasks_of(part: Part) -> list[str]:
    """Return the tasks of a part, in order of first appearance."""
    return list(dict.fromkeys(item.question.task for item in part.answered))

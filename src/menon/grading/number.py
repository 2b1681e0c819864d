"""Grader "number": a final number, found by a chain of extractors and compared as an exact fraction.

`number` asks the default chain of `extract`; `number?extract=after_a` asks one extractor, `number?extract=hashes,boxed`
some in that order. Extractors that read another number than the deciding one are named in the note of the grade.
"""

from dataclasses import dataclass

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.grading.extract import DEFAULT_CHAIN, EXTRACTORS, extract, extract_all, readable
from menon.grading.numbers import canonical, parse_number
from menon.grading.protocol import Parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberGrader:
    """Compare final numbers; `extract` is a comma-separated chain of extractor names."""

    extract: str = ",".join(DEFAULT_CHAIN)
    name: str = "number"

    def __post_init__(self):
        for extractor in self.chain:
            if extractor not in EXTRACTORS:
                raise ConfigError(
                    f"unknown extractor {extractor!r}; allowed: {', '.join(EXTRACTORS)}, joined by commas"
                )

    @property
    def chain(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.extract.split(","))

    def parse(self, problem: Problem, text: str) -> Parsed:
        text = readable(text)
        deciding = extract(text, self.chain)
        if deciding is None:
            return Parsed(answer=None, rationale=text.strip(), note=f"nothing found by {self.extract}")
        extractor, found = deciding
        rationale = text[: found.start].rstrip("# \n").lstrip()
        if found.value is None:
            return Parsed(answer=None, rationale=rationale, note=f"{extractor}: no readable number")
        answer = canonical(found.value)
        others = [f"{name} {other}" for name, other in extract_all(text).items() if other not in (None, answer)]
        return Parsed(
            answer=answer,
            rationale=rationale,
            note=extractor if not others else f"{extractor}; extractors disagree: {', '.join(others)}",
        )

    def accepts(self, problem: Problem, answer: str) -> bool:
        gold = parse_number(problem.answer)
        if gold is None:
            raise DataError(f"problem {problem.id} has answer {problem.answer!r}, which grader 'number' cannot compare")
        return parse_number(answer) == gold

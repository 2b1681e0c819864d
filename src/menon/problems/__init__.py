"""Problem families, worlds, analogies and stories, their splits, data set files and prompt styles.

`FAMILIES` can be taught; `KINDS` holds what can be asked, by kind (`catalogue` looks names up in all of them and adds
the problem templates, which are files and no registry).
"""

from menon.core.registry import Registry
from menon.problems.worlds import WORLDS

FAMILIES = Registry(
    "families",
    {
        "addition": "menon.problems.addition:ADDITION",
        "chain": "menon.problems.chain:CHAIN",
        "counter-programs": "menon.problems.programs:PROGRAMS",
        "facts": "menon.problems.facts:FACTS",
    },
    "family",
)

ANALOGIES = Registry(
    "analogies",
    {
        "letter-strings": "menon.problems.analogies.letters:LETTER_STRINGS",
        "letter-generalisations": "menon.problems.analogies.letters:GENERALISATIONS_OF_LETTERS",
        "word-sequences": "menon.problems.analogies.letters:WORD_SEQUENCES",
        "digit-matrices": "menon.problems.analogies.matrices:DIGIT_MATRICES",
    },
    "analogy",
)

MINDS = Registry(
    "minds",
    {
        "unexpected-contents": "menon.problems.minds:UNEXPECTED_CONTENTS",
        "unexpected-transfer": "menon.problems.minds:UNEXPECTED_TRANSFER",
    },
    "theory-of-mind task",
)

SMOKE = Registry(
    "smoke",
    {
        "decimals": "menon.problems.smoke:DECIMALS",
        "letters-in-words": "menon.problems.smoke:LETTERS_IN_WORDS",
    },
    "smoke test",
)

KINDS = {"families": FAMILIES, "worlds": WORLDS, "analogies": ANALOGIES, "minds": MINDS, "smoke": SMOKE}

__all__ = ["ANALOGIES", "FAMILIES", "KINDS", "MINDS", "SMOKE", "WORLDS"]

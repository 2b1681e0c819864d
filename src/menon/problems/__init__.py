"""Problem families, their worlds and splits, data set files and prompt styles."""

from menon.core.registry import Registry

FAMILIES = Registry(
    "families",
    {
        "addition": "menon.problems.addition:ADDITION",
        "chain": "menon.problems.chain:CHAIN",
        "facts": "menon.problems.facts:FACTS",
    },
    "family",
)

__all__ = ["FAMILIES"]

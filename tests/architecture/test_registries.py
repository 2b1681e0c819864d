"""Every name in every registry stands for something that can be imported."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from menon.core.registry import Registry

SOURCE = Path(__file__).parents[2] / "src"


def _registries() -> list[tuple[str, Registry]]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if not re.search(r"^\w+(: Registry)? = Registry\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            continue
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        for name, value in vars(module).items():
            if isinstance(value, Registry):
                found[id(value)] = (f"{module.__name__}.{name}", value)
    return list(found.values())


REGISTRIES = _registries()


@pytest.mark.parametrize(
    ("registry", "entry"),
    [pytest.param(r, entry, id=f"{where}:{entry}") for where, r in REGISTRIES for entry in r.names()],
)
def test_entry_resolves(registry: Registry, entry: str):
    assert registry.get(entry) is not None


def test_kinds_are_named_once():
    kinds = [registry.kind for _, registry in REGISTRIES]
    assert kinds
    assert len(set(kinds)) == len(kinds)

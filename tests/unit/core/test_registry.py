"""Registries resolve names when asked, and answer a wrong name with the nearest one."""

from importlib.metadata import EntryPoint

import pytest

from menon.core.errors import ConfigError
from menon.core.registry import Registry, resolve

TABLE = {"ordered": "collections:OrderedDict", "fraction": "fractions:Fraction", "broken": "no_such_module:x"}


def test_names_are_resolved_only_when_asked_for():
    registry = Registry("thing", TABLE)
    assert registry.names()[:3] == ["ordered", "fraction", "broken"]
    assert registry.get("fraction").__name__ == "Fraction"
    with pytest.raises(ModuleNotFoundError):
        registry.get("broken")


def test_an_unknown_name_is_answered_with_what_there_is():
    with pytest.raises(
        ConfigError, match=r"unknown thing 'fractoin'; known: ordered, fraction.*Did you mean 'fraction'\?"
    ):
        Registry("thing", TABLE).get("fractoin")
    with pytest.raises(ConfigError, match="unknown thing 'zzz'"):
        Registry("thing", TABLE).get("zzz")


def test_other_packages_add_names_but_do_not_replace_them(monkeypatch):
    points = [
        EntryPoint("extra", "decimal:Decimal", "menon.thing"),
        EntryPoint("fraction", "decimal:Decimal", "menon.thing"),
    ]
    monkeypatch.setattr("menon.core.registry.entry_points", lambda group: points if group == "menon.thing" else [])
    registry = Registry("thing", TABLE)
    assert registry.names() == ["ordered", "fraction", "broken", "extra"]
    assert registry.get("extra").__name__ == "Decimal"
    assert registry.get("fraction").__name__ == "Fraction"


def test_resolve_reads_module_and_attribute():
    assert resolve("math:pi") > 3

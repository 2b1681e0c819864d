"""Lazy registries: one literal table of `name -> "module:attribute"` per kind, plus entry points of other packages.

Other people's packages add to a kind with an entry point group `menon.<kind>`.
"""

import difflib
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from menon.core.errors import ConfigError


def resolve(path: str) -> Any:
    """Import `"package.module:attribute"` and return the attribute."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


class Registry:
    """Names of one kind of thing, resolved when asked for."""

    def __init__(self, kind: str, table: Mapping[str, str], noun: str | None = None):
        """`kind` names the entry point group, `noun` one thing of it in messages."""
        self.kind = kind
        self._noun = noun or kind
        self._table = dict(table)

    def names(self) -> list[str]:
        """List every known name, built-in ones first."""
        return [*self._table, *(p.name for p in self._plugins() if p.name not in self._table)]

    def get(self, name: str) -> Any:
        """Return the object registered under `name`; raise `ConfigError` with the nearest names otherwise."""
        if name in self._table:
            return resolve(self._table[name])
        for plugin in self._plugins():
            if plugin.name == name:
                return plugin.load()
        known = self.names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"unknown {self._noun} {name!r}; known: {', '.join(known)}.{hint}")

    def _plugins(self):
        return entry_points(group=f"menon.{self.kind}")

"""Seeds and content ids: both are hashes of names, never counters.

Adjacent integer seeds make "fresh" data that is the old data shifted by one; a hash of what the number is for
cannot do that. Left out: any global random state.
"""

import hashlib
import json
import random
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any


def _digest(parts: tuple[Any, ...]) -> bytes:
    return hashlib.sha256(canonical_json(list(parts)).encode()).digest()


# Made once: json.dumps with options makes an encoder for every call.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_json(value: Any) -> str:
    """Serialise `value` to one canonical line: sorted keys, no spaces, Unicode kept."""
    return _ENCODER.encode(value)


def seed_for(*names: str | int | float | bool | None) -> int:
    """Return a seed in [0, 2**63) that depends on every name and on their order."""
    return int.from_bytes(_digest(names)[:8], "big") >> 1


def seeds_within(*names: str | int | float | bool | None) -> Callable[[str], int]:
    """Return a function of a last name that gives `seed_for(*names, last)`; `names` are written only once."""
    start = canonical_json(list(names))[:-1] + ("," if names else "")

    def seed(last: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{start}{encode_basestring(last)}]".encode()).digest()[:8], "big") >> 1

    return seed


def rng_for(*names: str | int | float | bool | None) -> random.Random:
    """Return a generator seeded by `seed_for(*names)`."""
    return random.Random(seed_for(*names))


def content_id(kind: str, *parts: Any) -> str:
    """Return a 20-hex-digit id of JSON-serialisable content; equal content gives equal ids."""
    return _digest((kind, *parts)).hex()[:20]

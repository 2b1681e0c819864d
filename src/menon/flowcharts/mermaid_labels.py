"""Label text in Mermaid: what a person reads against what stands in the file.

Mermaid writes an entity as `#name;` or `#number;` and a line break as `<br/>`. `encode` leaves nothing in a label that
a renderer could take for markup, so every text comes back from `decode`. Left out: the meaning of Markdown marks and of
HTML tags other than `<br>`; both stay in the text as written.
"""

import re
from html.entities import html5

_BREAK = re.compile(r"<br\s*/?>|\n", re.IGNORECASE)
_ENTITY = re.compile(r"#\w+;|&#?\w+;")
_ESCAPES = {
    '"': "#quot;",
    "#": "#35;",
    "<": "#lt;",
    ">": "#gt;",
    "&": "#amp;",
    "`": "#96;",  # a leading one would make the label Markdown
    "\\": "#92;",  # renderers break the line at backslash n
}
_DIRECTION = re.compile(r"direction (?=[ ]*(?:TB|BT|LR|RL))")  # drops its line anywhere in the text
_EATEN_COLON = ("style", "classDef", ":fa-")  # renderers look for these with a colon anywhere in the text
LARGEST_CODE_POINT = 0x10FFFF


def decode(raw: str) -> str:
    """Return the text of a label as a person reads it; `raw` includes its quotes, if it has any."""
    text = raw.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
        if len(text) >= 2 and text[0] == text[-1] == "`":
            text = text[1:-1]
    lines = [line.strip() for line in _BREAK.split(text)]
    return _ENTITY.sub(_character, "\n".join(lines))


def encode(text: str) -> str:
    """Return `text` as the inside of a quoted label, harmless whatever it holds; `decode` gives it back."""
    if not text:
        return " "  # renderers refuse an empty label
    encoded = "<br/>".join(_encoded_line(line) for line in text.split("\n"))
    encoded = encoded.replace("%%", "%#37;").replace("$$", "$#36;")
    encoded = _DIRECTION.sub("direction#32;", encoded)
    if any(word in text for word in _EATEN_COLON):
        encoded = encoded.replace(":", "#58;")
    return encoded


def read_pairs(raw: str) -> dict[str, str]:
    """Read the inside of `@{ key: value, ... }`, quotes removed, label text still encoded.

    Raises: ValueError saying what cannot be read.
    """
    pairs: dict[str, str] = {}
    at = _skip(raw, 0)
    while at < len(raw):
        colon = raw.find(":", at)
        key = raw[at:colon].strip() if colon >= 0 else ""
        if not key.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"no 'key: value' at {raw[at : at + 30].strip()!r}")
        if key in pairs:
            raise ValueError(f"the key {key!r} stands twice")
        pairs[key], at = _read_value(raw, colon + 1, key)
        at = _skip(raw, at)
    return pairs


def _read_value(raw: str, at: int, key: str) -> tuple[str, int]:
    while at < len(raw) and raw[at] in " \t\r":
        at += 1
    if at < len(raw) and raw[at] in "\"'":
        close = raw.find(raw[at], at + 1)
        if close < 0:
            raise ValueError(f"the quote of {key!r} is not closed")
        end = _end_of_value(raw, close + 1)
        if raw[close + 1 : end].strip():
            raise ValueError(f"text after the closing quote of {key!r}")
        return raw[at + 1 : close], end
    end = _end_of_value(raw, at)
    value = raw[at:end].strip()
    if not value:
        raise ValueError(f"the key {key!r} has no value")
    return value, end


def _end_of_value(raw: str, at: int) -> int:
    while at < len(raw) and raw[at] not in ",\n":
        at += 1
    return at


def _skip(raw: str, at: int) -> int:
    while at < len(raw) and (raw[at].isspace() or raw[at] == ","):
        at += 1
    return at


def _encoded_line(line: str) -> str:
    inner = line.strip(" ")
    before = len(line) - len(line.lstrip(" "))
    after = len(line) - before - len(inner)
    return "#32;" * before + "".join(map(_encoded_character, inner)) + "#32;" * after


def _encoded_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"#{ord(character)};"


def _character(entity: re.Match[str]) -> str:
    name = entity[0][1:-1].removeprefix("#")
    if name.isascii() and name.isdigit():
        return _code_point(name, 10, entity[0])
    if entity[0][:3].lower() == "&#x":
        return _code_point(name[1:], 16, entity[0])
    return html5.get(f"{name};", entity[0])


def _code_point(digits: str, base: int, as_written: str) -> str:
    try:
        number = int(digits, base) if len(digits) < 10 else LARGEST_CODE_POINT + 1
    except ValueError:
        return as_written
    return chr(number) if number <= LARGEST_CODE_POINT else as_written

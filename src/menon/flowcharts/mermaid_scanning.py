"""The scanner under the Mermaid reader: a position in the text, and what can stand there: blanks, ids, labels.

Written by hand, one pass, each character looked at a bounded number of times. It follows the lexer of the renderers in
what splits where (an `x` right before `--` is an arrow head, `&` needs blanks), and refuses what they would read
in another way than a person does.
"""

import re
from bisect import bisect_left
from typing import NoReturn, overload

from menon.flowcharts.mermaid_statements import BRACKETS, MermaidError, Outline

BLANKS = " \t\r\f\v\u00a0\ufeff"
_BLANKS = re.compile(f"[{BLANKS}]*")
_BLANK_LINES = re.compile(f"[{BLANKS}\n]*")
ID = re.compile(r"\w+(?:[.-]\w+)*")
_CLASS = re.compile(r"(?:\w+(?:[.,-]\w+)*)?")
_PLAIN = re.compile(r"[^\[\](){}|\"]*")
_ASCII_WORD = re.compile(r"[A-Za-z0-9_]*")
_OPENERS = tuple(dict.fromkeys(opener for opener, _ in BRACKETS))
_CLOSERS = {o: tuple(closer for opener, closer in BRACKETS if opener == o) for o in _OPENERS}
RESERVED = frozenset(
    (
        *("end", "graph", "flowchart", "subgraph", "style", "linkStyle", "classDef", "class", "click", "interpolate"),
        *("call", "direction", "href", "_self", "_blank", "_parent", "_top"),
    )
)
ARROWS = "--> --- -.-> ==> ~~~ --x --o <--> x--x o--o, or with a label -->|text|, -- text -->"
QUOTE_IT = 'put the label in double quotes, as in A["text"], and write a double quote inside as #quot;'


class Scanner:
    """A position in `text` that only moves on, and messages that name it."""

    def __init__(self, text: str, file: str, first_line: int) -> None:
        self.text = text
        self.at = 0
        self._file = file
        self._first_line = first_line
        self._newlines = [index for index, character in enumerate(text) if character == "\n"]

    def line(self, at: int) -> int:
        return self._first_line + bisect_left(self._newlines, at)

    def column(self, at: int) -> int:
        before = bisect_left(self._newlines, at)
        return at - (self._newlines[before - 1] if before else -1)

    def error(self, at: int, problem: str, mend: str) -> MermaidError:
        return MermaidError(self._file, self.line(at), self.column(at), problem, mend)

    def shown(self, at: int) -> str:
        """Return what stands at `at`, short enough for a message."""
        end = self.text.find("\n", at, at + 41)
        rest = self.text[at : at + 40 if end < 0 else end].rstrip()
        return repr(rest) if rest else "the end of the line"

    def matched(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        assert found is not None, "the patterns used here match the empty text"
        self.at = found.end()
        return found[0]

    def blanks(self) -> str:
        return self.matched(_BLANKS)

    def blank_lines(self) -> str:
        return self.matched(_BLANK_LINES)

    def here(self, start: str) -> bool:
        return self.text.startswith(start, self.at)

    def take(self, end: int) -> str:
        start, self.at = self.at, end
        return self.text[start:end]

    def at_line_end(self) -> bool:
        return self.at >= len(self.text) or self.text[self.at] == "\n"

    def line_end(self) -> int:
        after = bisect_left(self._newlines, self.at)
        return self._newlines[after] if after < len(self._newlines) else len(self.text)

    def statement_end(self) -> int:
        """Return where a statement of free text ends: at a line end or a semicolon outside double quotes."""
        end, quoted = self.at, False
        last = self.line_end()
        while end < last and (quoted or self.text[end] != ";"):
            quoted ^= self.text[end] == '"'
            end += 1
        if quoted:
            raise self.error(
                self.at, f"a double quote is not closed in {self.shown(self.at)}", "close it on the same line"
            )
        return end

    def without_trailing_blanks(self, end: int) -> str:
        """Take the text up to `end` but leave the blanks before it, which belong to the layout."""
        start = self.at
        while end > start and self.text[end - 1] in BLANKS:
            end -= 1
        return self.take(end)

    def tail(self) -> str:
        """Take what ends a statement: blanks, a semicolon, a line end.

        Raises: MermaidError when something else stands there.
        """
        start = self.at
        self.blanks()
        if self.here(";"):
            self.at += 1
            after = self.at
            self.blanks()
            if not self.at_line_end():
                self.at = after
                return self.text[start:after]
        elif not self.at_line_end():
            self._fail_after_statement(start)
        self.at = min(self.at + 1, len(self.text))
        return self.text[start : self.at]

    def _fail_after_statement(self, start: int) -> NoReturn:
        at, shown = self.at, self.shown(self.at)
        if self.here("%%"):
            raise self.error(
                at, f"a comment after a statement, {shown}", "renderers refuse it: give it a line of its own"
            )
        if self.text[at] == "&":
            raise self.error(at, "'&' without blanks around it", "write A & B")
        if at > start and self.text[at] in "[({>":
            raise self.error(
                at, f"a blank before the bracket of a node: {shown}", "write the bracket right after the id"
            )
        if self.text[at] in "-=~.<>":
            raise self.error(at, f"unknown arrow at {shown}", f"use one of {ARROWS}")
        raise self.error(
            at, f"text after a statement: {shown}", "start a new line, or put quotes around a label with blanks"
        )

    @overload
    def id(self, what: str) -> str: ...
    @overload
    def id(self, what: None) -> str | None: ...
    def id(self, what: str | None) -> str | None:
        """Take an id; where there is none, fail with `what` is missing, or return None when `what` is None."""
        found = ID.match(self.text, self.at)
        if found is None:
            if what is None:
                return None
            raise self.error(
                self.at,
                f"{what} is missing, got {self.shown(self.at)}",
                "name a node: letters, digits and _, with - or . inside",
            )
        self.at = found.end()
        return found[0]

    def node_id(self, what: str) -> str:
        """Take the id of a node, refusing what renderers read as something else."""
        start = self.at
        name = self.id(what)
        word = _ASCII_WORD.match(name)
        if word and word[0] in RESERVED:
            mend = "write End or END" if word[0] == "end" else "choose another id, for instance with a capital letter"
            raise self.error(start, f"{name!r} cannot be a node: {word[0]!r} is a word of the language", mend)
        strange = next((c for c in name if not c.isascii() and (not c.isalpha() or c > "\uffff")), None)
        if strange:
            raise self.error(start, f"renderers refuse {strange!r} in an id", "put it into the label, in quotes")
        last, before = name[-1], name[:-1]
        if last in "xo" and self.starts_line(self.at) and (before.isdigit() or not before[-1:].isascii() or not before):
            sign = self.text[self.at : self.at + 2]
            raise self.error(start, f"renderers take '{last}{sign}' for an arrow head", f"write a blank: {name} {sign}")
        return name

    def style_class(self) -> str:
        if not self.here(":::"):
            return ""
        self.at += 3
        name = self.matched(_CLASS)
        if not name:
            raise self.error(self.at, "the class after ':::' is missing", "write A:::name")
        return name

    def outline(self) -> Outline | None:
        """Take a bracketed label, if one starts here."""
        if self.at >= len(self.text) or self.text[self.at] not in "[({>":
            return None
        opener = next(opener for opener in _OPENERS if self.here(opener))
        if self.here("(-") or self.here("((-") or self.here("[|"):
            raise self.error(self.at, f"{self.shown(self.at)} opens a shape that is not read here", QUOTE_IT)
        start = self.at
        self.at += len(opener)
        raw, closer = self.label(start, _CLOSERS[opener])
        return Outline(opener=opener, raw=raw, closer=closer)

    def label(self, start: int, closers: tuple[str, ...]) -> tuple[str, str]:
        """Take a label and its closing sign; `start` is where its opening sign stands."""
        raw = self.quoted() + self.blanks() if self.here('"') else self._plain(closers)
        for closer in closers:
            if self.here(closer):
                if not raw:
                    raise self.error(start, "a label is empty", 'leave the brackets away, or write " " in quotes')
                self.at += len(closer)
                return raw, closer
        at = self.at
        wanted = " or ".join(map(repr, closers))
        if at >= len(self.text) or "\n" in raw:
            raise self.error(start, f"{self.shown(start)} is not closed", f"close it with {wanted}")
        if raw.startswith('"'):
            raise self.error(
                at, f"text after a closing quote: {self.shown(at)}", f"close the label with {wanted} there"
            )
        raise self.error(
            at, f"{self.text[at]!r} inside a label without quotes, where {wanted} would close it", QUOTE_IT
        )

    def quoted(self) -> str:
        close = self.text.find('"', self.at + 1)
        if close < 0:
            raise self.error(self.at, f"the quote is not closed: {self.shown(self.at)}", 'close it with "')
        if close == self.at + 1:
            raise self.error(self.at, "a label is empty", 'leave it away, or write " "')
        raw = self.take(close + 1)
        if raw.startswith('"`') and (len(raw) < 4 or raw[-2] != "`"):
            raise self.error(close, 'a Markdown label does not end in `"', 'close it with `"')
        return raw

    def _plain(self, closers: tuple[str, ...]) -> str:
        start = self.at
        self.matched(_PLAIN)
        if closers[0] in ("/]", "\\]") and self.text[self.at - 1 : self.at] in ("/", "\\") and self.at > start:
            self.at -= 1
        raw = self.text[start : self.at]
        if "@" in raw:
            raise self.error(start + raw.index("@"), "'@' inside a label without quotes", QUOTE_IT)
        return raw

    def data(self) -> str | None:
        """Take the inside of `@{...}`, if it starts here."""
        if not self.here("@{"):
            return None
        start, at = self.at, self.at + 2
        while at < len(self.text) and self.text[at] != "}":
            if self.text[at] == '"':
                at = self.text.find('"', at + 1)
                if at < 0:
                    break
            at += 1
        if at < 0 or at >= len(self.text):
            raise self.error(start, f"{self.shown(start)} is not closed", "close it with }")
        self.at = at + 1
        return self.text[start + 2 : at]

    def starts_line(self, at: int) -> bool:
        return self.text.startswith(("--", "==", "-."), at)

"""The edge signs of Mermaid: arrows of any length, with a label inside or in bars, and edge ids."""

from typing import Literal

from menon.flowcharts.mermaid_scanning import ARROWS, ID, Scanner
from menon.flowcharts.mermaid_statements import Link

_BAR = ("|",)
_HEADS = {"<": ">", "x": "x", "o": "o"}


class LinkScanner(Scanner):
    """A scanner that also knows links."""

    def link(self) -> Link | None:
        """Take a link with its label and the blanks before it, or nothing where no link stands.

        Line ends may stand around a link, as for the renderers; an `x` or `o` on a new line is a node.
        """
        start = self.at
        before = self.blank_lines()
        edge_id = self._edge_id() if before and "\n" not in before else ""
        at = self.at
        if not self._starts_link(at, fresh_line="\n" in before):
            if edge_id:
                raise self.error(at, f"no arrow after the edge id {edge_id!r}", f"write {edge_id}@-->")
            self.at = start
            return None
        opener, inline, arrow = self._sign()
        after = self.at
        bar_gap = self.blank_lines()
        bar = None
        if self.here("|"):
            if opener:
                raise self.error(self.at, "a link with two labels", "keep the one in bars or the one inside the arrow")
            self.at += 1
            bar, _ = self.label(self.at - 1, _BAR)
        else:
            bar_gap, self.at = "", after
        return Link(
            before=before,
            edge_id=edge_id,
            opener=opener,
            inline=inline,
            arrow=arrow,
            bar_gap=bar_gap,
            bar=bar,
            line=self.line(at),
        )

    def _edge_id(self) -> str:
        found = ID.match(self.text, self.at)
        if found is None or self.text[found.end() : found.end() + 1] != "@":
            return ""
        if self.text[found.end() + 1 : found.end() + 2] in ("{", '"', ""):
            return ""
        self.at = found.end() + 1
        return found[0]

    def _starts_link(self, at: int, *, fresh_line: bool) -> bool:
        if at >= len(self.text):
            return False
        character = self.text[at]
        if character in "-=":
            return True
        if character == "~":
            return self.text.startswith("~~~", at)
        return character in ("<" if fresh_line else "<xo") and self.starts_line(at + 1)

    def _sign(self) -> tuple[str, str, str]:
        """Take an arrow, or an opening sign, a label and an arrow."""
        start = self.at
        head = self.text[start] if self.text[start] in _HEADS else ""
        arrow, kind = self._line_sign(start + len(head))
        if arrow is None:
            raise self.error(start, f"unknown arrow at {self.shown(start)}", f"use one of {ARROWS}")
        opener, inline = "", ""
        sign = head + arrow
        self.at = start + len(sign)
        if kind == "opener":
            opener, inline, arrow = sign, *self._inline(start, arrow)
            sign = opener + arrow
        if head and arrow[-1] != _HEADS[head]:
            raise self.error(
                start, f"an arrow with heads that differ, {sign!r}", "use <-->, x--x or o--o, or turn it round"
            )
        return opener, inline, arrow if opener else sign

    def _line_sign(self, at: int) -> tuple[str | None, Literal["arrow", "opener"]]:
        text = self.text
        if text.startswith("~~~", at):
            return text[at : self._run(at, "~")], "arrow"
        if text.startswith("-.", at):
            end = self._run(at + 1, ".")
            if text[end : end + 1] == "-":
                return text[at : end + 1 + (text[end + 1 : end + 2] in (">", "x", "o"))], "arrow"
            return (text[at:end] if end == at + 2 else None), "opener"
        if not text.startswith(("--", "=="), at):
            return None, "arrow"
        end = self._run(at, text[at])
        if text[end : end + 1] in (">", "x", "o"):
            return text[at : end + 1], "arrow"
        return text[at:end], "opener" if end == at + 2 else "arrow"

    def _run(self, at: int, character: str) -> int:
        while at < len(self.text) and self.text[at] == character:
            at += 1
        return at

    def _inline(self, start: int, line: str) -> tuple[str, str]:
        """Take the label between an opening sign and its arrow, and the arrow."""
        begin = self.at
        self.blank_lines()
        quoted = self.here('"')
        if quoted:
            self.quoted()
            self.blank_lines()
            close = self.at
        else:
            self.at = begin
            close = self._closing(line)
        arrow = self._closing_arrow(close, line)
        if arrow is None:
            raise self.error(start, f"no arrow ends the label of {self.shown(start)}", f"use one of {ARROWS}")
        inline = self.text[begin:close]
        if not inline.strip():
            raise self.error(start, "the label inside an arrow is empty", "write A --> B, or a text")
        if not quoted and '"' in inline:
            raise self.error(
                begin, "a quote inside a label without quotes", 'put quotes around all of it: -- "text" -->'
            )
        if not quoted and ((line == "-." and "." in inline) or (line == "==" and "=" in inline)):
            mend = 'put quotes around the label, as in -. "a.b" .->'
            raise self.error(begin, f"{line[1]!r} inside a label without quotes", mend)
        if not quoted and inline[-1] in "xo<":
            raise self.error(
                close, f"renderers take {inline[-1]!r} for an arrow head", "write a blank before the arrow"
            )
        self.at = close + len(arrow)
        return inline, arrow

    def _closing(self, line: str) -> int:
        last = self.line_end()
        if line != "-.":
            found = self.text.find(line, self.at, last)
            return last if found < 0 else found
        at = self.text.find(".", self.at, last)
        while at >= 0:
            end = self._run(at, ".")
            if self.text[end : end + 1] == "-":
                return at - (at > self.at and self.text[at - 1] == "-")
            at = self.text.find(".", end, last)
        return last

    def _closing_arrow(self, at: int, line: str) -> str | None:
        text = self.text
        if line == "-." and text.startswith(".", at):  # the dash before the dots may be left away here
            end = self._run(at, ".")
            return text[at : end + 1 + (text[end + 1 : end + 2] in (">", "x", "o"))] if text[end] == "-" else None
        if not text.startswith(line, at):
            return None
        arrow, kind = self._line_sign(at)
        return arrow if kind == "arrow" else None

"""Read a Mermaid flowchart: text to a tree that keeps every byte (line ends too: CRLF stays CRLF in the layout).

Refused with line and mend: other kinds of diagram, what renderers refuse, and what they would silently read in another
way than it looks. Left out: the meaning of front matter, directives, styles and clicks, which are kept as text.
Source: the flowchart grammar of Mermaid 11.
"""

import re

from menon.flowcharts.mermaid import Diagram
from menon.flowcharts.mermaid_links import LinkScanner
from menon.flowcharts.mermaid_scanning import BLANKS
from menon.flowcharts.mermaid_statements import (
    DIRECTIONS,
    Blank,
    Chain,
    Comment,
    DirectionChange,
    Directive,
    FrontMatter,
    Header,
    Link,
    Mention,
    Setting,
    Statement,
    SubgraphEnd,
    SubgraphStart,
)

_HEADERS = ("flowchart", "graph", "flowchart-elk")
_EXAMPLES = {
    "style": "style A fill:#eee",
    "linkStyle": "linkStyle 0 stroke:#333",
    "classDef": "classDef name fill:#eee",
    "class": "class A,B name",
    "click": 'click A "https://..."',
}
_TITLES = ("accTitle", "accDescr")
_WORD = re.compile(r"\w*(?:-\w+)*")
_SUBGRAPH_NAME = re.compile(r"[^\n;\"\[\](){}<>|,]*")
_END_AS_NAME = re.compile(r"(?:^|\s)end\b", re.ASCII)
_FIRST_WORD = re.compile(r"\w+(?:[-.,:]\w+)*")
_SWALLOWS_LINE = re.compile(r"direction\s+(?:TB|BT|LR|RL)")


def parse(text: str, *, file: str = "<text>", first_line: int = 1) -> Diagram:
    """Read one flowchart; `first_line` is the line of `file` that `text` starts on.

    Raises: MermaidError with file, line, column, problem and mend.
    """
    return _Reader(LinkScanner(text, file, first_line), file).diagram()


class _Reader:
    def __init__(self, scanner: LinkScanner, file: str) -> None:
        self._scan = scanner
        self._file = file
        self._statements: list[Statement] = []
        self._open: list[int] = []
        self._seen_header = False

    def diagram(self) -> Diagram:
        while self._scan.at < len(self._scan.text):
            self._statements.append(self._statement(self._scan.blanks()))
        if not self._seen_header:
            self._fail_header(len(self._scan.text), "nothing")
        if self._open:
            raise self._scan.error(
                self._open[-1], "the subgraph is not closed", "write 'end' on a line after its nodes"
            )
        diagram = Diagram(statements=tuple(self._statements), file=self._file)
        diagram.nodes()  # two labels for one node are an error of the text
        return diagram

    def _statement(self, lead: str) -> Statement:
        scan = self._scan
        if scan.at_line_end() or scan.here(";"):
            tail = scan.tail()
            if lead.endswith("\r") and tail == "\n":
                lead, tail = lead[:-1], "\r\n"
            return Blank(lead=lead, tail=tail)
        if scan.here("%%"):
            return self._comment(lead)
        if scan.here("---") and not any(not isinstance(s, Blank) for s in self._statements):
            return self._front_matter(lead)
        start = scan.at
        word = scan.matched(_WORD)
        if not self._seen_header:
            return self._header(lead, start, word)
        if statement := self._keyword(lead, start, word):
            return statement
        scan.at = start
        return self._chain(lead)

    def _comment(self, lead: str) -> Statement:
        scan = self._scan
        start = scan.at
        before = self._statements[-1].tail if self._statements else "\n"
        if not before.endswith("\n"):
            raise scan.error(start, "a comment after a statement", "renderers refuse it: give it a line of its own")
        if not scan.here("%%{"):
            scan.at += 2
            text = scan.without_trailing_blanks(scan.line_end())
            return Comment(lead=lead, text=text, tail=scan.tail())
        close = scan.text.find("}%%", start + 3)
        if close < 0:
            raise scan.error(start, "the directive is not closed", "close it with }%%, or write a blank: %% {")
        scan.at = close + 3
        return Directive(lead=lead, text=scan.text[start + 3 : close], tail=scan.tail())

    def _front_matter(self, lead: str) -> FrontMatter:
        scan = self._scan
        start = scan.at
        close = scan.text.find("\n---", start)
        if close < 0:
            raise scan.error(start, "the front matter is not closed", "end it with a line of ---")
        scan.at = close + 4
        return FrontMatter(lead=lead, text=scan.text[start + 3 : close + 1], tail=scan.tail())

    def _header(self, lead: str, start: int, word: str) -> Header:
        scan = self._scan
        if word not in _HEADERS:
            self._fail_header(start, repr(word) if word else scan.shown(start))
        gap = scan.blanks()
        at = scan.at
        direction = scan.matched(_WORD)
        if not direction:
            scan.at, gap = start + len(word), ""
        elif direction not in DIRECTIONS:
            raise scan.error(at, f"unknown direction {direction!r}", f"use one of {' '.join(DIRECTIONS)}")
        self._seen_header = True
        return Header(lead=lead, keyword=word, gap=gap, direction=direction, tail=scan.tail())

    def _fail_header(self, at: int, got: str) -> None:
        raise self._scan.error(
            at,
            f"a flowchart is read here, got {got}",
            "start with 'flowchart TD' (or graph; TB, BT, LR, RL); other kinds of Mermaid diagram are not read",
        )

    def _keyword(self, lead: str, start: int, word: str) -> Statement | None:
        """Read a statement that starts with a word of the language, or return None for a chain."""
        scan = self._scan
        follows_blank = scan.at_line_end() or scan.text[scan.at] in f"{BLANKS};"
        if word == "end" and follows_blank:
            return self._end(lead, start)
        if word == "subgraph" and follows_blank:
            return self._subgraph(lead, start)
        if word in _EXAMPLES and follows_blank:
            return self._setting(lead, start, word)
        if word in _TITLES:
            return self._title(lead, start, word)
        if word == "direction":
            return self._direction(lead)
        if word in _HEADERS and follows_blank:
            raise scan.error(start, f"a second header, {scan.shown(start)}", "keep one flowchart per text")
        return None

    def _end(self, lead: str, start: int) -> SubgraphEnd:
        scan = self._scan
        after = scan.at
        scan.blanks()
        if not (scan.at_line_end() or scan.here(";")):
            scan.at = start
            scan.node_id("a node")
        scan.at = after
        if not self._open:
            raise scan.error(start, "'end' without a subgraph", "remove it, or write End or END if it is a node")
        self._open.pop()
        return SubgraphEnd(lead=lead, tail=scan.tail())

    def _subgraph(self, lead: str, start: int) -> SubgraphStart:
        scan = self._scan
        self._open.append(start)
        gap, at = scan.blanks(), scan.at
        if scan.here('"'):
            name = scan.quoted()
        else:
            scan.matched(_SUBGRAPH_NAME)
            end, scan.at = scan.at, at
            name = scan.without_trailing_blanks(end)
        if not name or _END_AS_NAME.search(name):
            raise scan.error(at, f"no name for a subgraph at {scan.shown(at)}", 'write subgraph name["title"]')
        after = scan.at
        name_gap = scan.blanks()
        outline = scan.outline() if scan.here("[") else None
        if outline is None:
            name_gap, scan.at = "", after
        elif (outline.opener, outline.closer) != ("[", "]"):
            raise scan.error(after, "a subgraph's title stands in [ ]", 'write subgraph name["title"]')
        return SubgraphStart(
            lead=lead,
            gap=gap,
            name=name,
            name_gap=name_gap,
            outline=outline,
            tail=scan.tail(),
            line=scan.line(start),
        )

    def _setting(self, lead: str, start: int, word: str) -> Setting:
        scan = self._scan
        text = scan.without_trailing_blanks(scan.statement_end())
        first, _, rest = text.strip().partition(" ")
        if not rest or not _FIRST_WORD.fullmatch(first):
            problem = f"{word!r} starts a statement of its own kind, and {scan.shown(start)} is none"
            raise scan.error(start, problem, f"write {_EXAMPLES[word]}, or rename the node")
        at = scan.at
        tail = scan.tail()
        if ";" in tail and "#" in rest and word != "click" and (word == "linkStyle" or not _ends_line(scan, tail)):
            raise scan.error(at, "renderers take a colour and a semicolon for one character", "leave the ; away")
        if word in ("class", "click") and tail[:1] in (" ", "\t"):
            raise scan.error(at, f"renderers refuse blanks at the end of {word!r}", "remove them")
        return Setting(lead=lead, keyword=word, text=text, tail=tail)

    def _title(self, lead: str, start: int, word: str) -> Setting | None:
        scan = self._scan
        after = scan.at
        scan.blanks()
        if scan.here(":"):
            if scan.here(":::"):
                return None
            scan.at = after
            return Setting(
                lead=lead, keyword=word, text=scan.without_trailing_blanks(scan.line_end()), tail=scan.tail()
            )
        if word != "accDescr" or not scan.here("{"):
            return None
        close = scan.text.find("}", scan.at)
        if close < 0:
            raise scan.error(start, "the description is not closed", "close it with }")
        scan.at = after
        return Setting(lead=lead, keyword=word, text=scan.take(close + 1), tail=scan.tail())

    def _direction(self, lead: str) -> DirectionChange | None:
        scan = self._scan
        gap, at = scan.blanks(), scan.at
        word = scan.matched(_WORD)
        if not gap or not word or scan.here("@"):
            return None
        if word in ("x", "o") and scan.here("-"):
            return None
        if word not in DIRECTIONS:
            raise scan.error(at, f"unknown direction {word!r}", f"use one of {' '.join(DIRECTIONS)}")
        change = DirectionChange(lead=lead, gap=gap, direction=word, tail=scan.tail())
        if not (self._statements[-1].tail.endswith("\n") and _ends_line(scan, change.tail)):
            raise scan.error(at, "renderers drop what shares a line with a direction", "give it a line of its own")
        return change

    def _chain(self, lead: str) -> Chain:
        scan = self._scan
        start = scan.at
        groups = [self._group("", "a node")]
        links: list[Link] = []
        while link := scan.link():
            if link.edge_id and groups[-1][-1].data is not None:
                raise scan.error(scan.at, "renderers refuse an edge id after @{...}", "define the node on its own line")
            links.append(link)
            groups.append(self._group(self._blanks_after(link), "the target of the arrow"))
        self._check_labels(start)
        return Chain(lead=lead, groups=tuple(groups), links=tuple(links), tail=scan.tail())

    def _check_labels(self, start: int) -> None:
        """Refuse what renderers look for in the whole text, labels included."""
        scan = self._scan
        at = scan.text.find("%%{", start, scan.at)
        if at >= 0:
            raise scan.error(at, "renderers take '%%{' for a directive, also in a label", "write %#37;{")
        if scan.text.find("direction", start, scan.at) >= 0:
            found = _SWALLOWS_LINE.search(scan.text, start, scan.at)
            if found:
                mend = f"write {found[0].replace(' ', '#32;')}"
                raise scan.error(found.start(), f"renderers take {found[0]!r} for a statement, also in a label", mend)

    def _blanks_after(self, link: Link) -> str:
        if link.bar is None:
            return self._scan.blank_lines()
        blanks = self._scan.blanks()
        if len(blanks) > 1 and not self._scan.at_line_end():
            at = self._scan.at
            raise self._scan.error(at, "renderers refuse more than one blank after a label in bars", "write one blank")
        return blanks

    def _group(self, before: str, what: str) -> tuple[Mention, ...]:
        scan = self._scan
        mentions = [self._mention(before, what)]
        while True:
            start = scan.at
            blank = scan.blanks()
            if not blank or not scan.here("&"):
                scan.at = start
                return tuple(mentions)
            scan.at += 1
            if not scan.blanks():
                raise scan.error(scan.at, "'&' without blanks around it", "write A & B")
            mentions.append(self._mention(scan.text[start : scan.at], "a node after '&'"))

    def _mention(self, before: str, what: str) -> Mention:
        scan = self._scan
        start = scan.at
        name = scan.node_id(what)
        outline = scan.outline()
        style_class = scan.style_class()
        data = scan.data()
        mention = Mention(
            id=name,
            before=before,
            outline=outline,
            style_class=style_class,
            data=data,
            line=scan.line(start),
            column=scan.column(start),
        )
        if data is not None:
            try:
                _ = mention.pairs
            except ValueError as error:
                raise scan.error(
                    start, f"cannot read @{{...}}: {error}", 'write A@{ shape: stadium, label: "text" }'
                ) from error
        return mention


def _ends_line(scan: LinkScanner, tail: str) -> bool:
    return tail.endswith("\n") or scan.at >= len(scan.text)

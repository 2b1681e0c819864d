"""A few lines of SVG: escaped elements, text that is measured before it is placed, figures with a text alternative.

Colours come from `templates/charts.css` by class, so one drawing serves light pages, dark pages and paper.
Left out: any layout engine; a chart computes its own coordinates.
"""

from importlib.resources import files

from markupsafe import Markup, escape

from menon.core.seeds import content_id

FONT_SIZE = 12.0
_NARROW = frozenset("iljtfrI.,:;'|()[] -\u2009\u202f\u2013")
_WIDE = frozenset("mwMW%@")


def element(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """Return `<name ...>children</name>`; text is escaped, `class_` is `class`, `text_anchor` is `text-anchor`.

    Numbers are written with at most two decimals; attributes that are None are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(value) if _numeric(value) else escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{''.join(map(escape, children))}</{name}>")


def _numeric(value: object) -> bool:
    return isinstance(value, int | float)


def number(value: float | str | None) -> str:
    """Write a coordinate with at most two decimals and no trailing zeros."""
    text = f"{float(value or 0):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """Estimate the width of `text` in pixels, on the generous side of common sans-serif fonts."""
    return size * sum(0.36 if c in _NARROW else 0.92 if c in _WIDE else 0.63 for c in text)


def clipped(text: str, width: float, size: float = FONT_SIZE) -> str:
    """Shorten `text` with an ellipsis until it fits into `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def label(x: float, y: float, text: str, *, anchor: str = "start", class_: str | None = None) -> Markup:
    """Return text whose baseline starts, centres or ends at (x, y)."""
    return element("text", text, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def figure(title: str, description: str, width: float, height: float, *children: Markup) -> Markup:
    """Return an `<svg>` that scales down with its container and reads as `title` and `description`."""
    ident = "chart-" + content_id("chart", title, description)[:10]
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", description, id=f"{ident}-desc"),
        *children,
        class_="chart",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )


def chart_css() -> str:
    """Return the style sheet that colours every chart, light and dark."""
    return files("menon.reports").joinpath("templates/charts.css").read_text(encoding="utf-8")


def standalone(chart: Markup) -> str:
    """Return a chart as the text of an SVG file that carries its own colours (for documents outside a report)."""
    head, rest = str(chart).split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{escape(chart_css())}</style>{rest}\n'

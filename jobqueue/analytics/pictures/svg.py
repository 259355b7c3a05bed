"""Marks of a picture, as SVG text: bars, lines, areas, spans, tooltips. Pure: numbers in, text out, the same for the same.

A colour never stands alone: each has a hatch, an order or a height of its own. All of them have a contrast of at least 3:1 on
white and on black, so that one picture does for light and dark pages.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobqueue.analytics.pictures.scales import Scale, text_width
from jobqueue.inert import inert

NO_XML = re.compile("[\ufffe\uffff]")
"""What is left of what XML does not allow, once a text is inert."""


@dataclass(frozen=True)
class Look:
    """`hatch` is a path in a square of 6, drawn in a lighter tone; `bare` means an outline around nearly nothing."""

    colour: str
    hatch: str = ""
    bare: bool = False


DIAGONAL, BACK, ACROSS, DOTS = "M-1 1 1-1M0 6 6 0M5 7 7 5", "M-1 5 1 7M0 0 6 6M5-1 7 1", "M0 3h6", "M1.5 1.5h.01M4.5 4.5h.01"
BLUE, RED, PURPLE, OCHRE, GREEN, GREY = "#3182bd", "#d6502b", "#9460c9", "#a8780c", "#2b8f64", "#7a7a7a"
OUTCOMES = {
    "done": Look(BLUE),
    "failed": Look(RED, DIAGONAL),
    "crashed": Look(PURPLE, DIAGONAL + BACK),
    "cancelled": Look(GREY, bare=True),
    "given back": Look(OCHRE, DOTS),
    "other": Look(GREY, ACROSS),
}
SERIES = (Look(BLUE), Look(OCHRE, DIAGONAL), Look(GREEN, DOTS), Look(PURPLE, BACK), Look(RED, ACROSS), Look(GREY, bare=True))
"""For anything else that is told apart; the last of them is for all that has no look of its own."""


@dataclass(frozen=True)
class Ink:
    """What text and lines are drawn with: the colour of the page around, or a grey that reads on any page."""

    colour: str
    faint: float
    tips: bool
    id: str = "jq"

    def text(self, x: float, y: float, text: str, more: str = "", anchor: str = "start") -> str:
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        return f'<text x="{short(x)}" y="{short(y)}"{where}{more}>{escape(text)}</text>'

    def fill(self, look: Look) -> str:
        if look.bare:
            return f'fill="{look.colour}" fill-opacity=".15" stroke="{look.colour}"'
        return f'fill="url(#{self.id}{name_of(look)})"' if look.hatch else f'fill="{look.colour}"'

    def patterns(self, looks: Iterable[Look]) -> str:
        made = {
            name_of(look): f'<pattern id="{self.id}{name_of(look)}" width="6" height="6" patternUnits="userSpaceOnUse">'
            f'<path d="M0 0h6v6h-6z" fill="{look.colour}"/>'
            f'<path d="{look.hatch}" stroke="#fff" stroke-opacity=".6" stroke-width="1.4" stroke-linecap="round"/></pattern>'
            for look in looks
            if look.hatch
        }
        return f"<defs>{''.join(made.values())}</defs>" if made else ""


def name_of(look: Look) -> str:
    return look.colour[1:] + str((DIAGONAL, BACK, ACROSS, DOTS, DIAGONAL + BACK).index(look.hatch))


def escape(text: str) -> str:
    """A stranger's text in XML: nothing in it is markup, turns the line around or breaks the document. Line ends stay."""
    lines = (inert(line) for line in text.split("\n"))
    return html.escape(NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", "\n".join(lines)))


def cut(text: str, width: float, size: float = 11) -> str:
    """As much of a text as fits, with its end where that tells more than its middle."""
    text = inert(text[:400])
    if text_width(text, size) <= width:
        return text
    tail = text[-5:] if len(text) < 400 and text_width(text[-5:], size) < width / 2 else ""
    room = width - text_width(f"…{tail}", size)
    for index, character in enumerate(text):
        room -= text_width(character, size)
        if room < 0:
            return f"{text[:index].rstrip(chr(0x200D))}…{tail}"
    return text


def short(number: float) -> str:
    """A coordinate: a tenth of a pixel is fine enough."""
    return f"{number:.1f}".removesuffix(".0").replace("-0.", "-.") if number else "0"


def box(x0: float, x1: float, y0: float, y1: float) -> str:
    """A rectangle in a path."""
    return f"M{short(x0)} {short(y0)}H{short(x1)}V{short(y1)}H{short(x0)}z"


@dataclass(frozen=True)
class Bars:
    """Bars from edge to edge, one row of heights for each look, the first at the bottom. At least a pixel where not 0."""

    edges: Sequence[float]
    rows: Sequence[Sequence[float]]
    looks: Sequence[Look]

    def draw(self, x: Scale, y: Scale, ink: Ink) -> str:
        places = [x(edge) for edge in self.edges]
        floor = [float(round(y(0)))] * (len(self.edges) - 1)
        total = [0.0] * len(floor)
        drawn = []
        for row, look in zip(self.rows, self.looks, strict=True):
            path = []
            inset = 0.5 if look.bare else 0.0
            for index, value in enumerate(row):
                if value > 0:
                    total[index] += value
                    top = max(min(round(y(total[index])), floor[index] - 1), y.end)
                    left, right = gap(places[index], places[index + 1])
                    path.append(box(left + inset, right - inset, floor[index] - inset, min(top + inset, floor[index] - inset)))
                    floor[index] = top
            if path:
                drawn.append(f'<path {ink.fill(look)} d="{"".join(path)}"/>')
        return "".join(drawn)


def gap(left: float, right: float) -> tuple[float, float]:
    """A little air between neighbours, where there is room for it; on whole pixels, which are sharp."""
    air = 2 if right - left > 16 else 1 if right - left > 4 else 0
    start = round(left) + air - air // 2
    return start, max(round(right) - air // 2, start + 1)


@dataclass(frozen=True)
class Area:
    """Stairs: a value for each period, from edge to edge, filled down to 0."""

    edges: Sequence[float]
    values: Sequence[float]
    look: Look

    def draw(self, x: Scale, y: Scale, ink: Ink) -> str:
        steps = [f"V{short(y(value))}H{short(x(end))}" for value, end in zip(self.values, self.edges[1:], strict=True)]
        line = f"M{short(x(self.edges[0]))} {short(y(0))}{''.join(steps)}V{short(y(0))}"
        colour = self.look.colour
        return (
            f'<path d="{line}" fill="{colour}" fill-opacity=".3" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round"/>'
        )


@dataclass(frozen=True)
class Line:
    """A line with a point at every value; where one is not known (None), the line is broken."""

    xs: Sequence[float]
    values: Sequence[float | None]
    look: Look

    def draw(self, x: Scale, y: Scale, ink: Ink) -> str:
        line, dots, drawing = [], [], False
        for at, value in zip(self.xs, self.values, strict=True):
            if value is not None:
                place = f"{short(x(at))} {short(y(value))}"
                line.append(f"{'L' if drawing else 'M'}{place}")
                dots.append(f"M{place}h0")
            drawing = value is not None
        if not dots:
            return ""
        size = 5 if len(dots) <= 48 else 3.5
        return (
            f'<g fill="none" stroke="{self.look.colour}" stroke-linecap="round" stroke-linejoin="round">'
            f'<path d="{"".join(line)}" stroke-width="1.5"/><path d="{"".join(dots)}" stroke-width="{size}"/></g>'
        )


@dataclass(frozen=True)
class Markers:
    """Dashed lines at values, from the left to the right, each with its name at the top, where no other line crosses it."""

    places: Sequence[tuple[float, str]]

    def draw(self, x: Scale, y: Scale, ink: Ink) -> str:
        leftwards = any(x(at) + 4 + text_width(label) > x.end for at, label in self.places)
        drawn = []
        for row, (at, label) in enumerate(reversed(self.places) if leftwards else self.places):
            place, top = x(at), y.end + 2 + 14 * row
            left = leftwards and place - 4 - text_width(label) > x.start
            drawn.append(ink.text(place + (-4 if left else 4), top + 9, label, anchor="end" if left else "start"))
            drawn.append(
                f'<path d="M{short(place)} {short(top)}V{short(y.start)}" stroke="{ink.colour}" stroke-dasharray="4 3"/>'
            )
        return "".join(drawn)


@dataclass(frozen=True)
class Span:
    row: int
    start: float
    end: float
    look: Look
    tip: str


@dataclass(frozen=True)
class Spans:
    """Bars along a row. What went well is slimmer than what did not."""

    spans: Sequence[Span]
    slim: frozenset[Look] = frozenset({OUTCOMES["done"], OUTCOMES["cancelled"]})

    def draw(self, x: Scale, y: Scale, ink: Ink) -> str:
        drawn = []
        for span in self.spans:
            left, right, middle = x(span.start), x(span.end), y(span.row + 0.5)
            right = max(right - 0.6, left + 2)
            half = 4.5 if span.look in self.slim else 6.5
            tip = f"<title>{escape(span.tip)}</title>" if ink.tips else ""
            path = box(left, right, middle - half, middle + half)
            drawn.append(
                f'<path {ink.fill(span.look)} d="{path}">{tip}</path>' if tip else f'<path {ink.fill(span.look)} d="{path}"/>'
            )
        return "".join(drawn)


@dataclass(frozen=True)
class Tip:
    """What there is to say about everything between two places."""

    start: float
    end: float
    text: str

    def draw(self, x: Scale, top: float, bottom: float) -> str:
        return (
            f'<path d="{box(round(x(self.start)), round(x(self.end)), top, bottom)}"><title>{escape(self.text)}</title></path>'
        )


Mark = Bars | Area | Line | Markers | Spans

"""A picture laid out: a title, a legend, panels one below the other, one axis of time or durations below them all. Pure.

The same chart is drawn at any width. Texts have 11 to 13 pixels at each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise

from jobqueue.analytics.pictures.scales import Scale, Tick, text_width
from jobqueue.analytics.pictures.svg import Ink, Look, Mark, Tip, cut, escape, short

Axis = Callable[[float, float], Scale]
"""A scale, once it is known from where to where it reaches."""

INLINE = Ink("currentColor", 0.16, tips=True)
GREY = Ink("#777", 0.3, tips=True)
SMALL, LARGE = 11, 13
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
NARROWEST = 240
RIGHT, AIR, LABEL, EMPTY = 14, 16, 22, 96


@dataclass(frozen=True)
class Panel:
    """One plot. Either `axis`, for values, or `rows`, for a name at each row."""

    name: str
    height: float
    marks: Sequence[Mark]
    axis: Axis | None = None
    rows: Sequence[str] = ()


@dataclass(frozen=True)
class Chart:
    """`title` names it, `told` says in a sentence what it shows; `empty` stands in the middle where there is nothing."""

    title: str
    told: str
    axis: Axis
    panels: Sequence[Panel]
    legend: Sequence[tuple[str, Look]] = ()
    tips: Sequence[Tip] = ()
    empty: str = ""

    def draw(self, width: int = 700, ink: Ink = INLINE) -> str:
        """The picture as SVG text."""
        width = max(width, NARROWEST)
        looks = [look for _, look in self.legend]
        ink = replace(ink, id=f"jq{sha256(repr(looks).encode()).hexdigest()[:6]}")
        head, top = self.head(width, ink)
        body, height = self.body(width, top, ink)
        colour = ink.colour
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f' role="img" font-family="{FONT}" font-size="{SMALL}" fill="{colour}">'
            f"<title>{escape(self.title)}</title><desc>{escape(self.told)}</desc>{ink.patterns(looks)}{head}{body}</svg>"
        )

    def head(self, width: int, ink: Ink) -> tuple[str, float]:
        """Title and legend: beside each other where both fit, else the legend in lines of its own."""
        title = cut(self.title, width - RIGHT, LARGE)
        drawn = [ink.text(0, 14, title, f' font-size="{LARGE}" font-weight="600"')]
        names = [(cut(name, 150), look) for name, look in self.legend]
        sizes = [text_width(name) + 28 for name, _ in names]
        beside = text_width(title, LARGE) * 1.1 + 20 + sum(sizes) < width - RIGHT
        x, y = (width - RIGHT - sum(sizes) + 12, 14.0) if beside else (0.0, 34.0)
        for (name, look), size in zip(names, sizes, strict=True):
            if x and x + size - 12 > width:
                x, y = 0.0, y + 18
            drawn.append(f'<rect x="{short(x + 0.5)}" y="{short(y - 9.5)}" width="10" height="10" {ink.fill(look)}/>')
            drawn.append(ink.text(x + 15, y, name))
            x += size
        return "".join(drawn), (y if names else 14.0) + 10

    def body(self, width: int, top: float, ink: Ink) -> tuple[str, int]:
        left = self.margin(width)
        x = self.axis(left, width - RIGHT)
        drawn, first, plot_top = [], top + LABEL, top
        panels = [Panel("", EMPTY, ())] if self.empty else self.panels
        for panel in panels:
            plot_top = top + LABEL
            bottom = plot_top + panel.height
            drawn += [ink.text(0, top + 11, cut(panel.name, width - RIGHT))] if panel.name else []
            drawn.append(plot(panel, x, plot_top, bottom, ink))
            top = bottom + AIR
        bottom = top - AIR
        drawn.append(axis_labels(x, bottom, width, ink))
        for number, line in enumerate(lines := wrapped(self.empty, x.end - x.start, LARGE)):
            y = (plot_top + bottom) / 2 + 4 + 17 * (number - (len(lines) - 1) / 2)
            drawn.append(ink.text((x.start + x.end) / 2, y, line, f' font-size="{LARGE}"', "middle"))
        if self.tips and ink.tips:
            tips = "".join(tip.draw(x, first, bottom) for tip in self.tips)
            drawn.append(f'<g fill="none" pointer-events="all">{tips}</g>')
        return "".join(drawn), round(bottom + (38 if any(tick.under for tick in x.ticks) else 24))

    def margin(self, width: int) -> float:
        """As much as the widest label at the left needs."""
        if self.empty:
            return 0.0
        labels = [tick.label for panel in self.panels if panel.axis for tick in panel.axis(0, 1).ticks]
        names = [cut(name, width * 0.25) for panel in self.panels for name in panel.rows]
        return max([text_width(text) for text in (*labels, *names)], default=0) + 10


def plot(panel: Panel, x: Scale, top: float, bottom: float, ink: Ink) -> str:
    y = panel.axis(bottom, top) if panel.axis else Scale(0, max(len(panel.rows), 1), top, bottom, ())
    drawn = [grid(panel, x, y, top, bottom, ink)]
    drawn += [ink.text(x.start - 8, y(tick.at) + 4, tick.label, anchor="end") for tick in y.ticks]
    room = x.start - 8
    drawn += [ink.text(room, y(row + 0.5) + 4, cut(name, room), anchor="end") for row, name in enumerate(panel.rows) if name]
    drawn += [mark.draw(x, y, ink) for mark in panel.marks]
    return "".join(drawn)


def grid(panel: Panel, x: Scale, y: Scale, top: float, bottom: float, ink: Ink) -> str:
    """Faint lines at the ticks, and a clear one to stand on."""
    across = "".join(f"M{short(x.start)} {snap(y(tick.at))}H{short(x.end)}" for tick in y.ticks if tick.at > y.low)
    across += "".join(f"M{short(x.start)} {snap(y(row))}H{short(x.end)}" for row, name in enumerate(panel.rows) if name and row)
    down = "".join(f"M{snap(x(tick.at))} {short(top)}V{short(bottom)}" for tick in x.ticks if panel.name)
    stand = f"M{short(x.start)} {snap(bottom)}H{short(x.end)}" + "".join(
        f"M{snap(x(tick.at))} {short(bottom)}v4" for tick in x.ticks
    )
    return (
        f'<g fill="none" stroke="{ink.colour}"><path d="{across}{down}" stroke-opacity="{ink.faint}"/>'
        f'<path d="{stand}" stroke-opacity=".6"/></g>'
    )


def snap(place: float) -> str:
    """The middle of a pixel, where a thin line is sharp."""
    return short(round(place - 0.5) + 0.5)


def axis_labels(x: Scale, bottom: float, width: int, ink: Ink) -> str:
    """What the ticks say, every second or third of them where it is narrow; and below, once, what they have in common."""
    stride = next((n for n in range(1, len(x.ticks)) if fits(x, x.ticks[::n], width)), len(x.ticks) or 1)
    drawn, kept = [], list[tuple[float, float, str]]()
    for tick in x.ticks[::stride]:
        drawn.append(ink.text(inside(x(tick.at), tick.label, width), bottom + 17, tick.label, anchor="middle"))
    for tick in x.ticks:
        if tick.under:
            half = text_width(tick.under) / 2
            place = inside(x(tick.at), tick.under, width)
            if kept and place - half < kept[-1][1] + 8:
                kept.pop()
            kept.append((place, place + half, tick.under))
    drawn += [ink.text(place, bottom + 32, text, anchor="middle") for place, _, text in kept]
    return "".join(drawn)


def fits(x: Scale, ticks: Sequence[Tick], width: int) -> bool:
    """At the places where the labels are drawn: those at the edges are moved inwards."""
    places = [(inside(x(tick.at), tick.label, width), text_width(tick.label) / 2) for tick in ticks]
    return all(b - half_b - (a + half_a) >= 6 for (a, half_a), (b, half_b) in pairwise(places))


def inside(place: float, text: str, width: int) -> float:
    half = text_width(text) / 2
    return min(max(place, half), width - half)


def wrapped(text: str, width: float, size: float) -> list[str]:
    """In lines that are no wider."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines

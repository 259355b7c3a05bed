"""From values to places in a picture, with ticks at round values and their labels. Pure.

Every scale has 3 to 8 ticks, all inside it, with labels that differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import pairwise

from jobqueue.analytics.pictures.calendar import clock_text, day_text, local, offset_of, round_points, step_for

LEAST_TICKS, MOST_TICKS = 3, 8
MS, MINUTE, HOUR, DAY, YEAR = 0.001, 60.0, 3600.0, 86400.0, 31_557_600.0
UNITS = (("y", YEAR), ("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1.0), ("ms", MS), ("µs", 1e-6))


@dataclass(frozen=True)
class Tick:
    """`under` is what several labels have in common, like their day; it stands below the first of them."""

    at: float
    label: str
    under: str = ""


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` at the places from `start` to `end`; what lies outside is put at the edge."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[Tick, ...]
    log: bool = False

    def __call__(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def count_scale(most: float, start: float, end: float, ticks: int = 5) -> Scale:
    """From 0 to the first round number that is not less than the most: steps of 1, 2 or 5 times a power of ten."""
    step = next(step for step in one_two_five() if math.ceil(most / step) <= ticks - 1)
    number = max(2, math.ceil(most / step))
    unit, size = next(((u, s) for u, s in (("bn", 1e9), ("M", 1e6), ("k", 1e3)) if number * step >= 10 * s), ("", 1.0))
    marks = [Tick(at, f"{at / size:,.1f}".removesuffix(".0") + unit if at else "0") for at in multiples(number, step)]
    return Scale(0, number * step, start, end, tuple(marks))


def one_two_five(first: float = 1.0) -> list[float]:
    return [first * digit * 10**power for power in range(19) for digit in (1, 2, 5)]


def multiples(number: int, step: float) -> list[float]:
    return [index * step for index in range(number + 1)]


def share_scale(start: float, end: float) -> Scale:
    """From nothing to all."""
    return Scale(0, 1, start, end, tuple(Tick(at, f"{at:.0%}") for at in (0, 0.5, 1)))


SPAN_STEPS = (
    *(
        (digit * 10**power * size, size, unit)
        for size, unit in ((1e-6, "µs"), (MS, "ms"))
        for power in (0, 1, 2)
        for digit in (1, 2, 5)
    ),
    *((number, 1.0, "s") for number in (1, 2, 5, 10, 15, 30)),
    *((number * MINUTE, MINUTE, "min") for number in (1, 2, 5, 10, 15, 30)),
    *((number * HOUR, HOUR, "h") for number in (1, 2, 3, 6, 12)),
    *((number * DAY, DAY, "d") for number in one_two_five()),
)


def span_scale(most: float, start: float, end: float, ticks: int = 5) -> Scale:
    """Durations from 0, in seconds."""
    if most <= 0:
        most = 2.0
    step, size, unit = next(found for found in SPAN_STEPS if math.ceil(most / found[0] - 1e-9) <= ticks - 1)
    number = max(2, math.ceil(most / step - 1e-9))
    marks = [Tick(at, f"{round(at / size):,} {unit}" if at else "0") for at in multiples(number, step)]
    return Scale(0, number * step, start, end, tuple(marks))


def in_units(*groups: tuple[str, Sequence[float]]) -> list[tuple[float, str]]:
    sizes = dict(UNITS)
    return [(number * sizes[unit], f"{number:g} {unit}") for unit, numbers in groups for number in numbers]


FINE, HUNDREDS = (1, 2, 5, 10, 20, 50, 100, 200, 500), (1, 10, 100)
LADDERS = (
    in_units(
        *(("µs", FINE), ("ms", FINE), ("s", (1, 2, 5, 10, 20, 30)), ("min", (1, 2, 5, 10, 20, 30))),
        *(("h", (1, 2, 6, 12)), ("d", (1, 2, 5, 10, 20, 50, 100, 200)), ("y", (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))),
    ),
    in_units(
        *(("µs", HUNDREDS), ("ms", HUNDREDS), ("s", (1, 10)), ("min", (1, 10)), ("h", (1, 10))),
        *(("d", (1, 10, 100)), ("y", (1, 10, 100, 1000))),
    ),
    in_units(("µs", (1,)), ("ms", (1,)), ("s", (1,)), ("min", (1,)), ("h", (1,)), ("d", (1,)), ("y", (1, 100))),
)
SHORTEST, LONGEST, WIDEN = 1e-6, 1000 * YEAR, 30.0


def log_span_scale(low: float, high: float, start: float, end: float) -> Scale:
    """Durations by their order of magnitude: a millisecond is as far from a second as a second from a quarter of an hour."""
    low, high = min(max(low, SHORTEST), LONGEST / WIDEN), min(max(high, SHORTEST), LONGEST)
    if high < low * WIDEN:
        middle = math.sqrt(low * high)
        low = min(max(middle / math.sqrt(WIDEN), SHORTEST), LONGEST / WIDEN)
        high = low * WIDEN * 1.0001
    scale = Scale(low, high, start, end, (), log=True)
    ladders = [tuple(Tick(at, label) for at, label in ladder if low <= at <= high) for ladder in LADDERS]
    good = [marks for marks in ladders if LEAST_TICKS <= len(marks) <= MOST_TICKS]
    marks = next((marks for marks in good if not crowded(scale, marks)), good[-1])
    return Scale(low, high, start, end, marks, log=True)


def crowded(scale: Scale, marks: Sequence[Tick]) -> bool:
    return any(scale(b.at) - scale(a.at) < text_width(f"{a.label}{b.label}") / 2 + 8 for a, b in pairwise(marks))


def time_scale(low: float, high: float, start: float, end: float, zone: tzinfo | None) -> Scale:
    """Points in time, at round ones of the zone's calendar; each day is named once."""
    step = step_for(low, high, MOST_TICKS, zone)
    points = round_points(low, high, step, zone)
    shifts = len({offset_of(at, zone) for at in points}) > 1
    marks, said = [], ""
    for at in points:
        when = local(at, zone)
        under = day_text(when, step, with_offset=shifts)
        marks.append(Tick(at, clock_text(when, step), under if under != said else ""))
        said = under
    return Scale(low, high, start, end, tuple(marks))


def text_width(text: str, size: float = 11) -> float:
    """About how wide a text is, rather too wide: a page's font is not known here."""
    return size * sum(char_width(c) for c in text)


def char_width(char: str) -> float:
    if char in " .,:;|!'ijlt":
        return 0.4
    if char in "mwMW%@…":
        return 1.0
    return 1.3 if char >= "\u2e80" else 0.76 if char.isupper() else 0.64


def span_text(seconds: float) -> str:
    """A duration in words, with about three digits: `12.3 ms`, `2 min 5 s`, `3 d 4 h`."""
    if seconds < 0:
        return f"-{span_text(-seconds)}"
    for (unit, size), (smaller, part) in pairwise(UNITS):
        if seconds >= size * (1 - 1e-9) and size >= MINUTE:
            whole = int(seconds / size + 1e-9)
            rest = round((seconds - whole * size) / part)
            whole, rest = (whole + 1, 0) if rest >= round(size / part) else (whole, rest)
            return f"{whole:,} {unit}" + (f" {rest} {smaller}" if rest else "")
    for unit, size in UNITS[-3:]:
        if seconds >= size * 0.9995 or unit == "µs":
            number = seconds / size
            return f"{number:.3g} {unit}" if number < 100 else f"{number:.0f} {unit}"
    return "0 s"


def count_text(count: int, word: str, words: str | None = None) -> str:
    return f"{count:,} {word if count == 1 else words or word + 's'}"

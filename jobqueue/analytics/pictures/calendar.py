"""Round points in time: where the periods of a picture begin, and where its axis has its ticks. Pure.

Times are seconds since 1970. A zone of None is the local one of whoever looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY = 86400.0
EARLIEST, LATEST = 0.0, 7258118400.0
"""1970 to 2200: what lies outside is no time of a job, and is left out."""


class Step(NamedTuple):
    """A distance that a calendar knows, like 15 minutes or 1 month; `unit` is s, d, month or year."""

    size: float
    unit: str

    @property
    def seconds(self) -> float:
        """How long, at least about."""
        return self.size * {"s": 1.0, "d": DAY, "month": 30 * DAY, "year": 365 * DAY}[self.unit]

    def __str__(self) -> str:
        if self.unit != "s":
            if self.unit == "d" and self.size % 7 == 0:
                return counted(int(self.size // 7), "week")
            return counted(int(self.size), "day" if self.unit == "d" else self.unit)
        for name, word, length in (("h", "hour", 3600), ("min", "minute", 60), ("s", "second", 1)):
            if self.size >= length:
                return word if self.size == length else f"{self.size / length:g} {name}"
        return f"{self.size * 1000:g} ms"


def counted(count: int, word: str) -> str:
    return word if count == 1 else f"{count} {word}s"


STEPS = (
    *(Step(number / 1000, "s") for number in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(Step(number, "s") for number in (1, 2, 5, 10, 15, 30)),
    *(Step(number * 60, "s") for number in (1, 2, 5, 10, 15, 30)),
    *(Step(number * 3600, "s") for number in (1, 2, 3, 6, 12)),
    *(Step(number, "d") for number in (1, 2, 4, 7, 14)),
    *(Step(number, "month") for number in (1, 2, 3, 6)),
    *(Step(number, "year") for number in (1, 2, 5, 10, 20, 50)),
)
SECOND = next(step for step in STEPS if step == (1, "s"))


def local(at: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at, timezone.utc).astimezone(zone)


def step_of(seconds: float) -> Step:
    """The longest step that is not longer than this."""
    return max((step for step in STEPS if step.seconds <= seconds), key=lambda step: step.seconds, default=STEPS[0])


def step_for(start: float, end: float, most: int, zone: tzinfo | None, least: Step = STEPS[0]) -> Step:
    """The shortest step that has at most so many round points in between."""
    for step in STEPS[STEPS.index(least) :]:
        if (end - start) / step.seconds <= most + 2 and len(round_points(start, end, step, zone)) <= most:
            return step
    return STEPS[-1]


def round_points(start: float, end: float, step: Step, zone: tzinfo | None) -> list[float]:
    """Every point from start to end at which the step begins anew by the calendar of the zone."""
    if step.unit == "s":
        return list(clock_points(start, end, step.size, zone))
    return [at for day in first_days(start, end, step, zone) if start <= (at := midnight(day, zone)) <= end]


def clock_points(start: float, end: float, size: float, zone: tzinfo | None) -> Iterator[float]:
    """Points of the clock. Steps of hours look at every half hour, since the clocks may be set in between."""
    pace = min(size, 1800.0)
    offset = offset_of(start, zone)
    number = math.ceil((start + offset) / pace - 1e-9)
    while (at := round(number * pace - offset, 3)) <= end:
        if start <= at and (pace == size or (at + offset_of(at, zone)) % size == 0):
            yield at
        number += 1


def offset_of(at: float, zone: tzinfo | None) -> float:
    offset = local(at, zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def first_days(start: float, end: float, step: Step, zone: tzinfo | None) -> Iterator[date]:
    first, last = local(start, zone).date(), local(end, zone).date()
    size = int(step.size)
    if step.unit == "d":
        number = first.toordinal() - (first.toordinal() - 1) % size  # day 1 was a Monday
        while number <= last.toordinal():
            yield date.fromordinal(number)
            number += size
        return
    size *= 12 if step.unit == "year" else 1
    months = first.year * 12 + first.month - 1
    months -= months % size
    while months <= last.year * 12 + last.month - 1:
        yield date(months // 12, months % 12 + 1, 1)
        months += size


def midnight(day: date, zone: tzinfo | None) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def clock_text(when: datetime, step: Step) -> str:
    """A tick's label, without what the day below it says."""
    if step.unit == "year":
        return str(when.year)
    if step.unit == "month":
        return MONTHS[when.month - 1]
    if step.unit == "d":
        return f"{when.day} {MONTHS[when.month - 1]}"
    if step.size < 1:
        return f"{when.second:02}.{when.microsecond // 1000:03}"
    return f"{when:%H:%M:%S}" if step.size < 60 else f"{when:%H:%M}"


def day_text(when: datetime, step: Step, with_offset: bool = False) -> str:
    """What a tick's label leaves out: the day, or the year."""
    if step.unit == "year":
        return ""
    if step.unit != "s":
        return str(when.year)
    day = f"{DAYS[when.weekday()]} {when.day} {MONTHS[when.month - 1]}"
    minute = f", {when:%H:%M}" if step.size < 1 else ""
    return f"{day}{minute}{' ' + offset_text(when) if with_offset else ''}"


def offset_text(when: datetime) -> str:
    """`UTC`, `UTC+1`, `UTC+5:30`: names like CST mean several zones."""
    minutes = int((when.utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return "UTC" if not minutes else f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"


def zone_text(at: float, zone: tzinfo | None) -> str:
    return offset_text(local(at, zone))


def moment_text(at: float, zone: tzinfo | None, exact: bool = False) -> str:
    """A point in time in a sentence: `Thu 1 Jan 2026 12:00`."""
    when = local(at, zone)
    clock = f"{when:%H:%M:%S}.{when.microsecond // 1000:03}" if exact else f"{when:%H:%M:%S}" if at % 60 else f"{when:%H:%M}"
    return f"{DAYS[when.weekday()]} {when.day} {MONTHS[when.month - 1]} {when.year} {clock}"


def period_text(start: float, end: float, zone: tzinfo | None) -> str:
    """A period in a tooltip: `Thu 1 Jan 2026 12:00 to 13:00`, `Thu 1 Jan 2026` or `1 Jan 2026 to 1 Feb 2026`."""
    a, b = local(start, zone), local(end, zone)
    whole_days = (a.hour, a.minute, a.second, b.hour, b.minute, b.second) == (0,) * 6 and a.date() != b.date()
    if whole_days:
        first, last = moment_text(start, zone)[:-6], moment_text(end - 1, zone)[:-9]
        return first if first == last else f"{first} to {last}"
    clock = moment_text(end, zone)
    return f"{moment_text(start, zone)} to {clock if a.date() != b.date() else clock.rsplit(' ', 1)[1]}"

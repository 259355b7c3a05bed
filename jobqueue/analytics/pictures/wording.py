"""What pictures have in common: their words, their columns, their colours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pandas as pd

from jobqueue.analytics.pictures.asked import Asked, Floats
from jobqueue.analytics.pictures.calendar import moment_text, zone_text
from jobqueue.analytics.pictures.chart import Axis
from jobqueue.analytics.pictures.history import Groups
from jobqueue.analytics.pictures.scales import count_text, time_scale
from jobqueue.analytics.pictures.svg import OUTCOMES, SERIES, Look, cut

MOST = 96
"""So many points has a picture at most: periods, bins, attempts."""
NAME = 130
"""Pixels: so much of a stranger's name is shown."""


def looks_of(groups: Groups, by: str) -> list[Look]:
    if by == "outcome":
        return [OUTCOMES[name] for name in groups.names]
    return [*SERIES[: len(groups.names) - 1], SERIES[-1]]


def when(asked: Asked) -> str:
    """The end of a sentence: over which time."""
    if asked.told or asked.start is None:
        return asked.told
    return f"from {moment_text(asked.start, asked.zone)} to {moment_text(asked.end, asked.zone)}"


def nothing(what: str, asked: Asked) -> str:
    return f"no {what} {asked.told or 'yet'}"


def left_out(count: int) -> str:
    """A sentence about attempts whose durations mean nothing, if there are any."""
    return f" {count_text(count, 'attempt')} left out: a clock was set meanwhile." if count else ""


def time_axis(start: float, end: float, asked: Asked) -> Axis:
    return partial(time_scale, start, end, zone=asked.zone)


def with_zone(name: str, asked: Asked) -> str:
    """A panel's name, and what the times below it are: a saved picture is looked at elsewhere."""
    return f"{name} · {zone_text(asked.end, asked.zone)}"


def tip_lines(names: Sequence[str], counts: Sequence[int]) -> list[str]:
    return [f"{count:,} {cut(name, NAME)}" for name, count in zip(names, counts, strict=True) if count]


def moments(seconds: Sequence[float]) -> Any:
    return pd.to_datetime([round(at * 1e6) for at in seconds], unit="us", utc=True).as_unit("us")


def durations(seconds: Sequence[float] | Floats) -> Any:
    return pd.to_timedelta([round(at * 1e6) for at in seconds], unit="us").as_unit("us")


def columns(groups: Groups, counts: Any, taken: Sequence[str]) -> dict[str, Any]:
    """A column for each group, also where a type has the name of another column."""
    found: dict[str, Any] = {}
    for name, row in zip(groups.names, counts, strict=True):
        while name in found or name in taken:
            name += "_"
        found[name] = row
    return found


def middles(edges: Sequence[float]) -> list[float]:
    return [(a + b) / 2 for a, b in pairwise(edges)]

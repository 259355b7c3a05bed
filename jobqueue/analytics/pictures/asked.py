"""What a picture is asked for: which attempts, over which time, on whose calendar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone, tzinfo
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobqueue.analytics.frames import attempts
from jobqueue.analytics.pictures.calendar import EARLIEST, LATEST, SECOND, Step, moment_text, round_points, step_for, step_of
from jobqueue.analytics.schema import ATTEMPTS
from jobqueue.errors import InvalidJob, InvalidTime
from jobqueue.model.clock import SystemClock
from jobqueue.model.request import nearest
from jobqueue.model.schedule import parse_zone, zone_of
from jobqueue.model.times import DURATION, Duration, parse_duration, parse_since, short
from jobqueue.queue.queue import Queue

Floats = NDArray[np.float64]
Since = datetime | Duration | None
Source = Queue | pd.DataFrame

RANGES = frozenset({"24h", "7d", "30d", "all"})
FILTERS = frozenset(name for name, dtype in ATTEMPTS.items() if dtype in ("category", "str") and name != "error")
LEAST = 10.0
"""Seconds: no picture is of less time than this, unless asked for."""
DAY = 86400.0
USUAL = 32
"""Periods, where nobody said how long they shall be."""


@dataclass(frozen=True)
class Asked:
    """From `start` to `end`, in seconds since 1970; `start` is None for all that there is, until the frame says what that is.
    `told` ends a sentence: "in the last 24 h"."""

    start: float | None
    end: float
    now: float
    zone: tzinfo | None
    told: str

    def since(self) -> datetime | None:
        return None if self.start is None else datetime.fromtimestamp(self.start, timezone.utc)

    def settled(self, times: Floats, is_frame: bool) -> Asked:
        """Over the times that there are, where no beginning was given; a frame of its own ends with its last row."""
        if self.start is not None:
            return self
        times = times[np.isfinite(times)]
        if not len(times):
            return replace(self, start=self.end - DAY)
        start, last = float(times.min()), float(times.max())
        if not is_frame:
            return replace(self, start=min(start, self.end - LEAST))
        missing = max(LEAST - (last - start), 0.0)
        return replace(self, start=start - missing / 2, end=last + missing / 2)

    def holds(self, times: Floats) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (times >= (-np.inf if self.start is None else self.start)) & (times <= self.end)
        return found

    def periods(self, every: Duration | None, most: int, least: Step) -> tuple[Step, list[float]]:
        """The length of the periods, and where each begins and the last ends. Never more than `most`."""
        start = self.end - DAY if self.start is None else self.start
        step = step_for(start, self.end, most - 1, self.zone, least)
        if every is not None:
            wanted = step_of(max(parse_duration(every, "every").total_seconds(), 0.001))
            step = max(step, wanted, key=lambda step: step.seconds)
        inner = [at for at in round_points(start, self.end, step, self.zone) if start < at < self.end]
        return step, [start, *inner, self.end]


def read_asked(source: Source, range: Duration | None, since: Since, until: Since, zone: Any) -> Asked:
    """Raises `InvalidTime` and `InvalidJob`, with what to write instead."""
    is_frame = isinstance(source, pd.DataFrame)
    if not is_frame and not isinstance(source, Queue):
        raise TypeError(f"a picture is of a Queue or of a frame of attempts, not of {type(source).__name__}")
    moment = SystemClock().now() if is_frame else source.clock.now()
    now = moment.timestamp()
    asked = Asked(None, now, now, read_zone(zone), "")
    if since is not None or until is not None:
        if range is not None:
            raise InvalidJob("range: stands for since= and until=; give the one or the others")
        return between(asked, since, until, moment)
    if range is None:
        range = "all" if is_frame else "24h"
    if range == "all":
        return asked
    if isinstance(range, str) and not DURATION.fullmatch(range.strip().lower()):
        hint = nearest(range, RANGES)
        raise InvalidJob(f"range: {range!r:.80} is unknown{hint}; give 24h, 7d, 30d, all, or since= and until=")
    length = parse_duration(range, "range")
    if not length:
        raise InvalidTime("range: nothing lies in 0 s; give 24h, 7d, 30d, all, or since= and until=")
    return replace(asked, start=whole(now - length.total_seconds(), asked), told=f"in the last {range_text(range)}")


def whole(start: float, asked: Asked) -> float:
    """A range that ends now begins with a whole period: the last 24 hours are this hour and the 23 before it."""
    step = step_for(start, asked.end, USUAL, asked.zone, SECOND)
    return next((at for at in round_points(start, asked.end, step, asked.zone) if at > start), start)


def read_zone(zone: Any) -> tzinfo | None:
    """None is the local zone of whoever asks, which is UTC where the system knows none."""
    return None if zone is None else zone_of(parse_zone(zone))


def range_text(range: Duration) -> str:
    return (
        re.sub(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)", " ", range.strip().lower())
        if isinstance(range, str)
        else short(parse_duration(range))
    )


def between(asked: Asked, since: Since, until: Since, now: datetime) -> Asked:
    start = None if since is None else parse_since(since, now, "since").timestamp()
    end = asked.end if until is None else parse_since(until, now, "until").timestamp()
    if start is not None and start >= end:
        raise InvalidTime("since: is not before the end; change since or until")
    words = [f"since {moment_text(start, asked.zone)}"] if start is not None else []
    words += [f"until {moment_text(end, asked.zone)}"] if until is not None else []
    return replace(asked, start=start, end=end, told=" ".join(words))


def load(source: Source, asked: Asked, columns: Iterable[str], filters: Mapping[str, Any]) -> pd.DataFrame:
    """The attempts of the source that finished since the beginning, with at least these columns, as the filters choose."""
    frame = source if isinstance(source, pd.DataFrame) else attempts(source, since=asked.since())
    for name in filters:
        require(name, "filter")
    missing = [name for name in (*columns, *filters) if name not in frame.columns]
    if missing:
        raise InvalidJob(f"frame: has no column {missing[0]!r:.80}; give a frame that analytics.attempts(queue) made")
    for name, value in filters.items():
        words = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
        frame = frame[frame[name].isin(list(words))]
    return frame


def require(name: str, what: str) -> None:
    if name not in FILTERS:
        raise InvalidJob(
            f"{what}: {name!r:.80} is unknown{nearest(str(name), FILTERS)}; give one of {', '.join(sorted(FILTERS))}"
        )


def instants(column: pd.Series, name: str) -> Floats:
    """Seconds since 1970; NaN where there is no time, or none that a job can have."""
    if len(column) == 0:
        return np.empty(0)
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        raise InvalidTime(f"frame: column {name!r} has no time zone; write df[{name!r}].dt.tz_localize('UTC')")
    index = pd.DatetimeIndex(column).as_unit("us")
    seconds = np.asarray(index.asi8, dtype=np.float64) / 1e6
    seconds[np.asarray(index.isna()) | (seconds < EARLIEST) | (seconds > LATEST)] = np.nan
    return seconds


def spans(column: pd.Series, name: str) -> Floats:
    """Seconds; NaN where it is not known."""
    if len(column) == 0:
        return np.empty(0)
    if column.dtype.kind != "m":
        raise InvalidTime(f"frame: column {name!r} has no durations; write pd.to_timedelta(df[{name!r}], unit='s')")
    index = pd.TimedeltaIndex(column).as_unit("us")
    seconds = np.asarray(index.asi8, dtype=np.float64) / 1e6
    seconds[np.asarray(index.isna())] = np.nan
    return seconds


def jumped(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Where a clock was set meanwhile: durations there mean nothing."""
    if "clock_jump" not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    return np.asarray(frame["clock_jump"].fillna(False), dtype=bool)

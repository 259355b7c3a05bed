"""Which stretch of time is meant, and how it falls into periods: hours, days, weeks. Pure.

Periods begin at midnight of the time zone and at every step after it, so none reaches over a midnight: on a day of 23 or 25
hours there are 23 or 25 periods of an hour. Periods of whole days are counted from a Monday; a week begins on one.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobqueue.errors import InvalidJob, InvalidTime
from jobqueue.model.request import nearest
from jobqueue.model.times import DURATION, UTC, Duration, parse_duration, parse_since

Instants = NDArray[np.int64]
"""Microseconds since 1970, in UTC."""

RANGES = frozenset({"24h", "7d", "30d", "all"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONDAY = date(1970, 1, 5)
HOUR, DAY, MICROSECOND = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
MOST = 1_000_000


class Stretch(NamedTuple):
    """From `start` (None: the first attempt there is) to before `end`, and what it was called."""

    start: datetime | None
    end: datetime
    name: str


def read_every(every: Duration) -> timedelta:
    """The length of a period: a part of a day, or whole days."""
    length = parse_duration(every, "every")
    if length < timedelta(seconds=1):
        raise InvalidTime(f'every: {every!r} is too short for a period; write "1h", "15m", "1d" or "1w"')
    if length > DAY and length % DAY:
        raise InvalidTime(f'every: {every!r} is neither part of a day nor whole days; write "1h", "6h", "1d" or "1w"')
    return length


def read_stretch(
    range: Duration | None,
    since: datetime | Duration | None,
    until: datetime | Duration | None,
    every: timedelta,
    zone: tzinfo,
    now: datetime,
) -> Stretch:
    """What `range`, or else `since` and `until`, mean now. Without any of them: the last 24 hours."""
    if since is None and until is None:
        return read_range("24h" if range is None else range, every, zone, now)
    if range is not None:
        raise InvalidJob("range: stands for since= and until=; give the one or the others")
    start = None if since is None else parse_since(since, now, "since")
    end = now + MICROSECOND if until is None else parse_since(until, now, "until")
    if start is not None and start >= end:
        raise InvalidTime(f"since: {start.isoformat()} is not before {end.isoformat()}, where it ends; change since or until")
    told = f"{'the first attempt' if start is None else since} to {'now' if until is None else until}"
    return Stretch(start, end, told)


def read_range(range: Duration, every: timedelta, zone: tzinfo, now: datetime) -> Stretch:
    """A range ends now, and has whole periods: `24h` by the hour is this hour and the 23 before it."""
    if range == "all":
        return Stretch(None, now + MICROSECOND, "all")
    if isinstance(range, str) and not DURATION.fullmatch(range.strip().lower()):
        raise InvalidJob(
            f"range: {range!r:.80} is unknown{nearest(range, RANGES)}; give 24h, 7d, 30d, all, or since= and until="
        )
    length = parse_duration(range, "range")
    if not length:
        raise InvalidTime("range: nothing lies in 0 s; give 24h, 7d, 30d, all, or since= and until=")
    unit = every if every < length else HOUR if length > HOUR else None
    start = now - length
    if unit is not None:
        if not (length % DAY or unit % DAY):  # seven days back by the calendar, also where one of them had 23 hours
            start = (now.astimezone(zone) - length).astimezone(UTC)
        start = moment(edges(start, start + MICROSECOND, unit, zone)[1])
    return Stretch(start, now + MICROSECOND, str(range))


def edges(start: datetime, end: datetime, every: timedelta, zone: tzinfo) -> Instants:
    """Where the periods from `start` to before `end` begin, and where the last of them ends: one more than there are."""
    if (end - start) / every > MOST:
        raise InvalidTime(f"every: {every} would be more than {MOST:,} periods; take a longer one, or a shorter range")
    first, last = start.astimezone(zone).date(), (end - MICROSECOND).astimezone(zone).date()
    if every >= DAY:
        first -= (first - MONDAY) % every
        count = (last - first) // every + 2
        found = np.array([midnight(first + number * every, zone) for number in range(count)], dtype=np.int64)
    else:
        step = every // MICROSECOND
        nights = [midnight(first + number * DAY, zone) for number in range((last - first).days + 2)]
        days = [np.arange(a, b, step, dtype=np.int64) for a, b in pairwise(nights)]
        found = np.concatenate([*days, np.array(nights[-1:], dtype=np.int64)])
    found = np.unique(found)  # where a zone has skipped a whole day, two days begin at once
    low = int(np.searchsorted(found, instant(start), "right")) - 1
    high = int(np.searchsorted(found, instant(end), "left"))
    return found[low : high + 1]


def midnight(day: date, zone: tzinfo) -> int:
    """Where a day begins; where the clocks skip midnight, that is the moment in which they do."""
    return instant(datetime.combine(day, time(), tzinfo=zone))


def instant(when: datetime) -> int:
    return (when - EPOCH) // MICROSECOND


def moment(instant: int) -> datetime:
    return EPOCH + int(instant) * MICROSECOND

"""Times and durations as people give them, and as the disk holds them (aware, UTC, ISO 8601)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from jobqueue.errors import InvalidTime
from jobqueue.model.json_value import brief

UTC = timezone.utc
Duration = timedelta | float | int | str

UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ms|min|s|m|h|d|w)\s*)+")
PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)")
LONGEST = timedelta(days=36525)
TOO_LONG = 1e11
"""Seconds: more than the longest duration, and still within what a timedelta can hold."""


def parse_duration(value: Duration, field: str = "duration") -> timedelta:
    """A timedelta from a timedelta, seconds, or a text such as `"10m"`, `"1h30m"`, `"1.5s"`, `"7d"`; never negative."""
    if isinstance(value, timedelta):
        result = value
    elif isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidTime(f'{field}: {brief(value)} is not a duration; give a timedelta, seconds, or a text such as "10m"')
    elif isinstance(value, str):
        text = value.strip().lower()
        if not DURATION.fullmatch(text):
            raise InvalidTime(f'{field}: cannot read {brief(value)}; write "30s", "10m", "1h30m" or "7d"')
        seconds = sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))
        result = timedelta(seconds=min(seconds, TOO_LONG))
    else:
        if not abs(value) < TOO_LONG:  # also true for NaN and the infinities
            raise InvalidTime(f"{field}: {brief(value)} seconds is not a duration")
        result = timedelta(seconds=value)
    if result < timedelta(0):
        raise InvalidTime(f"{field}: {brief(value)} is negative; a duration is zero or more")
    if result > LONGEST:
        raise InvalidTime(f"{field}: {brief(value)} is longer than 100 years")
    return result


def parse_time(value: datetime | str, field: str = "time") -> datetime:
    """An aware UTC datetime from an aware datetime or an ISO 8601 text with its zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise InvalidTime(f'{field}: cannot read {brief(value)}; write ISO 8601, like "2026-11-22T06:00:00Z"') from None
    if not isinstance(value, datetime):
        raise InvalidTime(f"{field}: {brief(value)} is not a time; give an aware datetime or ISO 8601 text")
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidTime(
            f"{field}: {value.isoformat()} has no time zone; write datetime.now(timezone.utc), "
            f'datetime(..., tzinfo=ZoneInfo("Europe/Berlin")), or "{value.isoformat()}Z" for UTC'
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidTime(f"{field}: {value.isoformat()} is out of range") from None


def parse_moment(value: datetime | Duration, now: datetime, field: str = "time") -> datetime:
    """A point in time given as itself, or as a duration counted from now."""
    if isinstance(value, datetime) or (isinstance(value, str) and not DURATION.fullmatch(value.strip().lower())):
        return parse_time(value, field)
    return now + parse_duration(value, field)


def parse_since(value: datetime | Duration, now: datetime, field: str = "since") -> datetime:
    """A point in the past given as itself, or as an age: `"24h"` is a day before now."""
    if isinstance(value, datetime) or (isinstance(value, str) and not DURATION.fullmatch(value.strip().lower())):
        return parse_time(value, field)
    return now - parse_duration(value, field)


def iso(moment: datetime) -> str:
    """ISO 8601 with microseconds and a Z, like every time on disk."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def short(delta: timedelta | float) -> str:
    """A duration in its largest fitting unit, for sentences: `12 µs`, `3.5 ms`, `40 s`, `12 min`, `3 h`, `2 d`."""
    seconds = delta.total_seconds() if isinstance(delta, timedelta) else delta
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 999 * size else f"{seconds / size:,.0f} {unit}"
    if 0 < seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs"
    if 0 < seconds < 0.0995:  # what is rounded to 100 ms is 0.1 s
        return f"{seconds * 1000:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"

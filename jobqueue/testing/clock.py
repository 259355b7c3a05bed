"""A clock that is turned by hand."""

from __future__ import annotations

from datetime import datetime, timezone

from jobqueue.model.times import Duration, parse_duration

NEW_YEAR = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)


class FakeClock:
    """A clock that stands still until `advance`."""

    def __init__(self, start: datetime = NEW_YEAR) -> None:
        self.time = start

    def now(self) -> datetime:
        return self.time

    def advance(self, duration: Duration) -> datetime:
        """Turns the clock on by `"10m"`, seconds or a timedelta, and returns the new time."""
        self.time += parse_duration(duration)
        return self.time

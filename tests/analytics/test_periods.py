"""Periods of any length, in any time zone, around any change of the clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobqueue.analytics.periods import MICROSECOND, edges, instant, moment, read_range

UTC = timezone.utc
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"),
    *("Australia/Lord_Howe", "America/Santiago", "Asia/Beirut", "Pacific/Apia", "America/Caracas"),
]
"""Among them: half an hour off, half an hour of summer time, summer time from midnight on, a day that never was."""


def hours(day: datetime, zone: str, every: timedelta = HOUR) -> list[str]:
    local = day.replace(tzinfo=ZoneInfo(zone))
    start, end = local.astimezone(UTC), (local + DAY).astimezone(UTC)
    return [f"{moment(edge).astimezone(ZoneInfo(zone)):%d %H:%M}" for edge in edges(start, end, every, ZoneInfo(zone))]


@pytest.mark.parametrize(
    ("day", "zone", "count"),
    [
        (datetime(2026, 6, 1), "Europe/Berlin", 24),
        (datetime(2026, 3, 29), "Europe/Berlin", 23),
        (datetime(2026, 10, 25), "Europe/Berlin", 25),
        (datetime(2026, 11, 1), "America/New_York", 25),
        (datetime(2026, 6, 1), "Asia/Kolkata", 24),
    ],
)
def test_a_day_has_as_many_hours_as_it_has(day: datetime, zone: str, count: int) -> None:
    found = hours(day, zone)
    assert len(found) - 1 == count
    assert {text.partition(":")[2] for text in found} == {"00"}


def test_steps_begin_anew_at_midnight() -> None:
    """The 25th has 25 hours in Berlin: six from 0:00, with the hour that comes twice, are followed by one of 6 hours each."""
    found = hours(datetime(2026, 10, 25), "Europe/Berlin", 6 * HOUR)
    assert found == ["25 00:00", "25 05:00", "25 11:00", "25 17:00", "25 23:00", "26 00:00"]


@pytest.mark.parametrize("every", [HOUR, DAY])
def test_a_day_that_never_was_is_no_period(every: timedelta) -> None:
    """Samoa went from the 29th of December 2011 to the 31st."""
    zone = ZoneInfo("Pacific/Apia")
    found = edges(datetime(2011, 12, 29, tzinfo=zone), datetime(2012, 1, 1, tzinfo=zone), every, zone)
    assert list(found) == sorted(set(found))
    days = [f"{moment(edge).astimezone(zone):%d}" for edge in found]
    assert list(dict.fromkeys(days)) == ["29", "31", "01"]
    assert len(found) == (2 * DAY) // every + 1


def test_weeks_begin_on_a_monday() -> None:
    found = edges(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC), 7 * DAY, UTC)
    assert [f"{moment(edge):%a %d}" for edge in found] == ["Mon 29", "Mon 05", "Mon 12"]


@settings(max_examples=300, deadline=None)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)),
    st.timedeltas(MICROSECOND, timedelta(days=9)),
    st.sampled_from([HOUR, HOUR / 4, 6 * HOUR, 7 * HOUR, DAY, 3 * DAY, 7 * DAY]),
    st.sampled_from(ZONES),
)
def test_periods_cover_the_stretch_and_begin_at_midnight(
    naive: datetime, length: timedelta, every: timedelta, name: str
) -> None:
    zone = ZoneInfo(name)
    start = naive.replace(tzinfo=UTC)
    end = start + length
    found = edges(start, end, every, zone)
    assert len(found) >= 2
    assert found[0] <= instant(start) < found[1]
    assert found[-2] < instant(end) <= found[-1]
    for a, b in pairwise(found):
        assert a < b
        first, last = moment(a).astimezone(zone), moment(b - 1).astimezone(zone)
        if every < DAY:
            assert first.date() == last.date()  # none reaches over a midnight
            assert b - a <= every / MICROSECOND
        else:
            assert (moment(a) - MICROSECOND).astimezone(zone).date() < first.date()  # each begins with a day
            assert last.date() - first.date() < every


@settings(max_examples=200, deadline=None)
@given(st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)), st.sampled_from(ZONES[:5] + ZONES[8:]))
@example(datetime(2026, 3, 29, 22, 30), "Europe/Berlin")  # 0:30 on the Monday after a day of 23 hours
def test_seven_days_are_seven_whole_days(naive: datetime, name: str) -> None:
    zone, now = ZoneInfo(name), naive.replace(tzinfo=UTC)
    stretch = read_range("7d", DAY, zone, now)
    assert stretch.start is not None
    found = edges(stretch.start, stretch.end, DAY, zone)
    assert len(found) == 8
    assert found[0] == instant(stretch.start)
    assert found[-2] <= instant(now) < found[-1]


@settings(max_examples=100, deadline=None)
@given(st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)))
def test_twenty_four_hours_are_twenty_four_whole_hours(naive: datetime) -> None:
    now = naive.replace(tzinfo=UTC)
    stretch = read_range("24h", HOUR, UTC, now)
    assert stretch.start is not None
    found = edges(stretch.start, stretch.end, HOUR, UTC)
    assert len(found) == 25
    assert found[0] == instant(stretch.start)
    assert found[-2] <= instant(now) < found[-1]

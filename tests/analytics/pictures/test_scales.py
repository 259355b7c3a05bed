"""Ticks: 3 to 8 of them, inside the scale, round, each with a label of its own; whatever the numbers are."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.analytics.pictures.calendar import STEPS, Step, local, period_text, round_points, step_for
from jobqueue.analytics.pictures.scales import Scale, count_scale, log_span_scale, span_scale, span_text, time_scale

UTC = timezone.utc
ZONES = [UTC, *map(ZoneInfo, ("Europe/Berlin", "Asia/Kathmandu", "America/New_York", "Pacific/Chatham", "Asia/Tokyo"))]
YEAR = 365.25 * 86400


def at(text: str, zone: tzinfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def labels(scale: Scale) -> list[str]:
    return [tick.label for tick in scale.ticks]


def is_good(scale: Scale) -> None:
    assert 3 <= len(scale.ticks) <= 8, scale
    assert all(scale.low <= tick.at <= scale.high for tick in scale.ticks)
    places = [scale(tick.at) for tick in scale.ticks]
    assert places == sorted(places)
    assert all(min(scale.start, scale.end) - 1e-6 <= place <= max(scale.start, scale.end) + 1e-6 for place in places)


def is_one_two_five(number: float) -> bool:
    return f"{number:e}"[0] in "125" and float(f"{number:e}"[1:].split("e")[0]) == 0


@given(most=st.integers(0, 10**13), ticks=st.integers(3, 7))
def test_counts_have_good_ticks(most: int, ticks: int) -> None:
    scale = count_scale(most, 0, 100, ticks)
    is_good(scale)
    assert scale.high >= most
    assert is_one_two_five(scale.ticks[1].at)
    assert all(tick.at == int(tick.at) for tick in scale.ticks)
    assert len(set(labels(scale))) == len(scale.ticks)


@given(most=st.floats(0, 100 * YEAR), ticks=st.integers(3, 7))
def test_durations_have_good_ticks(most: float, ticks: int) -> None:
    scale = span_scale(most, 0, 100, ticks)
    is_good(scale)
    assert scale.high >= most * (1 - 1e-9)
    assert len(set(labels(scale))) == len(scale.ticks)


@given(low=st.floats(0, 100 * YEAR), ratio=st.floats(1, 1e17), width=st.integers(180, 1200))
def test_magnitudes_have_good_ticks(low: float, ratio: float, width: int) -> None:
    scale = log_span_scale(low, low * ratio, 40, 40 + width)
    is_good(scale)
    assert len(set(labels(scale))) == len(scale.ticks)


@given(
    start=st.floats(at("1971-01-01"), at("2150-01-01")),
    length=st.floats(0.01, 50).map(lambda power: 0.01 * 1.55**power),
    zone=st.sampled_from(ZONES),
)
def test_times_have_good_ticks(start: float, length: float, zone: tzinfo) -> None:
    end = start + min(length, 40 * YEAR)
    scale = time_scale(start, end, 40, 690, zone)
    is_good(scale)
    said, keys = "", set()
    for tick in scale.ticks:
        said = tick.under or said
        keys.add((said, tick.label))
    assert len(keys) == len(scale.ticks), scale.ticks
    unders = [tick.under for tick in scale.ticks if tick.under]
    assert len(unders) == len(set(unders))


def test_a_day_is_named_once() -> None:
    scale = time_scale(at("2026-03-02T15:30"), at("2026-03-03T15:30"), 0, 650, UTC)
    assert [(tick.label, tick.under) for tick in scale.ticks] == [
        *(("18:00", "Mon 2 Mar"), ("21:00", ""), ("00:00", "Tue 3 Mar"), ("03:00", "")),
        *(("06:00", ""), ("09:00", ""), ("12:00", ""), ("15:00", "")),
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (
            "2026-01-01T12:00:10",
            "2026-01-01T12:01:10",
            ["12:00:10", "12:00:20", "12:00:30", "12:00:40", "12:00:50", "12:01:00", "12:01:10"],
        ),
        ("2026-01-01", "2026-02-20", ["5 Jan", "12 Jan", "19 Jan", "26 Jan", "2 Feb", "9 Feb", "16 Feb"]),
        ("2016-06-01", "2026-06-01", ["2018", "2020", "2022", "2024", "2026"]),
        ("2026-01-15", "2026-08-15", ["Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"]),
    ],
)
def test_ticks_of_a_minute_and_of_ten_years(start: str, end: str, expected: list[str]) -> None:
    assert labels(time_scale(at(start), at(end), 0, 650, UTC)) == expected


def test_midnights_are_those_of_the_zone_also_where_its_clocks_are_set() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    points = round_points(at("2026-03-28", berlin), at("2026-03-31", berlin), Step(1, "d"), berlin)
    assert [local(point, berlin).hour for point in points] == [0, 0, 0, 0]
    assert [round((b - a) / 3600) for a, b in pairwise(points)] == [24, 23, 24]
    hours = round_points(points[1], points[2], Step(6 * 3600, "s"), berlin)
    assert [local(point, berlin).hour for point in hours] == [0, 6, 12, 18, 0]


def test_an_hour_that_comes_twice_says_which_it_is() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    scale = time_scale(at("2026-10-25T00:00"), at("2026-10-25T02:00"), 0, 650, berlin)
    assert [tick.under for tick in scale.ticks if tick.under] == ["Sun 25 Oct UTC+2", "Sun 25 Oct UTC+1"]


def test_steps_get_longer() -> None:
    assert list(STEPS) == sorted(STEPS, key=lambda step: step.seconds)
    assert str(step_for(0, 86400, 32, UTC)) == "hour"
    assert [str(step) for step in (Step(900, "s"), Step(7, "d"), Step(14, "d"), Step(3, "month"))] == [
        *("15 min", "week", "2 weeks", "3 months"),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 µs"), (0.00025, "250 µs"), (0.0123, "12.3 ms"), (0.9999, "1 s"), (1, "1 s"), (59.97, "60 s")),
        *((125, "2 min 5 s"), (3600, "1 h"), (12000, "3 h 20 min"), (93600, "1 d 2 h"), (3 * YEAR, "3 y"), (-2, "-2 s")),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_periods_in_words() -> None:
    assert period_text(at("2026-03-02T12:00"), at("2026-03-02T13:00"), UTC) == "Mon 2 Mar 2026 12:00 to 13:00"
    assert period_text(at("2026-03-02"), at("2026-03-03"), UTC) == "Mon 2 Mar 2026"
    assert period_text(at("2026-03-02"), at("2026-03-09"), UTC) == "Mon 2 Mar 2026 to Sun 8 Mar 2026"

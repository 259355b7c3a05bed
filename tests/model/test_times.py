from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.errors import InvalidJob, InvalidTime
from jobqueue.model.times import LONGEST, iso, parse_duration, parse_moment, parse_since, parse_time, short

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("10m", 600),
        ("10 min", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        (" 7D ", 604800),
        ("2w", 1209600),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("0s", 0),
        (90, 90),
        (0.5, 0.5),
        (timedelta(hours=1), 3600),
    ],
)
def test_a_duration_is_a_timedelta_seconds_or_a_text(given, seconds):
    assert parse_duration(given) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "ten minutes", "-5m", "1h-5m", "1e3s", "5y", "10m!", "1.h"])
def test_an_unreadable_duration_is_refused_with_examples(text):
    with pytest.raises(InvalidTime, match=r'delay: cannot read .*write "30s", "10m"'):
        parse_duration(text, "delay")


@pytest.mark.parametrize("value", [True, None, [], b"10m", NOON])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(InvalidTime, match=r"delay: .* is not a duration"):
        parse_duration(value, "delay")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, 10**400])
def test_numbers_beyond_all_time_are_refused(value):
    with pytest.raises(InvalidTime, match="is not a duration"):
        parse_duration(value)


@pytest.mark.parametrize("value", [-1, -0.001, timedelta(seconds=-1)])
def test_a_negative_duration_is_refused(value):
    with pytest.raises(InvalidTime, match="is negative"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["36526d", "99999999999999d", "9" * 400 + "d", LONGEST + timedelta(seconds=1)])
def test_more_than_a_hundred_years_are_refused(value):
    with pytest.raises(InvalidTime, match="longer than 100 years"):
        parse_duration(value)


@given(st.text(alphabet="0123456789. smhdwin-+e", max_size=30))
def test_any_text_is_a_duration_or_an_invalid_time(text):
    try:
        duration = parse_duration(text)
    except InvalidTime:
        return
    assert timedelta(0) <= duration <= LONGEST


@pytest.mark.parametrize(
    "given",
    [
        NOON,
        NOON.astimezone(ZoneInfo("Asia/Tokyo")),
        "2026-11-22T12:00:00Z",
        "2026-11-22T13:00:00+01:00",
        " 2026-11-22T12:00:00.000Z ",
        "20261122T120000Z",
    ],
)
def test_a_time_is_aware_or_iso_8601_and_comes_out_as_utc(given):
    time = parse_time(given)

    assert time == NOON
    assert time.utcoffset() == timedelta(0)


@pytest.mark.parametrize("naive", [datetime(2026, 11, 22, 12), "2026-11-22T12:00:00", "2026-11-22"])
def test_a_naive_time_is_refused_with_what_to_write_instead(naive):
    with pytest.raises(InvalidTime, match=r"run_after: 2026-11-22.* has no time zone; write datetime.now\(timezone.utc\)"):
        parse_time(naive, "run_after")


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00:00Z", "10m"])
def test_an_unreadable_time_is_refused(text):
    with pytest.raises(InvalidTime, match=r"run_after: cannot read .*write ISO 8601"):
        parse_time(text, "run_after")


@pytest.mark.parametrize("value", [0, None, True, 1.5, []])
def test_a_number_is_no_time(value):
    with pytest.raises(InvalidTime, match="is not a time"):
        parse_time(value)


def test_a_time_that_utc_cannot_hold_is_refused():
    with pytest.raises(InvalidTime, match="out of range"):
        parse_time("0001-01-01T00:00:00+05:00")


def test_every_refusal_is_an_invalid_job_and_a_value_error():
    with pytest.raises(InvalidJob):
        parse_time("soon")
    with pytest.raises(ValueError, match="cannot read"):
        parse_duration("soon")


def test_a_moment_is_a_time_or_counted_from_now():
    assert parse_moment("10m", NOON) == NOON + timedelta(minutes=10)
    assert parse_moment(60, NOON) == NOON + timedelta(minutes=1)
    assert parse_moment(NOON, NOON + timedelta(days=1)) == NOON
    assert parse_moment("2026-11-22T12:00:00Z", NOON + timedelta(days=1)) == NOON


def test_since_is_a_time_or_an_age():
    assert parse_since("24h", NOON) == NOON - timedelta(days=1)
    assert parse_since(timedelta(hours=2), NOON) == NOON - timedelta(hours=2)
    assert parse_since("2026-11-22T12:00:00Z", NOON + timedelta(days=1)) == NOON


ANY_TIME = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.timezones())


@given(ANY_TIME)
def test_a_time_survives_the_disk(time):
    assert parse_time(iso(time)) == time.astimezone(timezone.utc)  # as given, it may stand in an hour that comes twice
    assert iso(time).endswith("Z")


@given(ANY_TIME, ANY_TIME)
def test_written_times_sort_like_times(one, other):
    assert (iso(one) < iso(other)) == (one.astimezone(timezone.utc) < other.astimezone(timezone.utc))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000121, "12 µs"),
        (0.0009994, "999 µs"),
        (0.0009996, "1 ms"),
        (0.0035, "3.5 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (0.1, "0.1 s"),
        (0.5, "0.5 s"),
        (9, "9 s"),
        (40, "40 s"),
        (60, "1 min"),
        (720, "12 min"),
        (5400, "1.5 h"),
        (172800, "2 d"),
        (86400 * 998.6, "999 d"),
        (86400 * 12345.6, "12,346 d"),
    ],
)
def test_short_speaks_in_the_largest_unit(seconds, text):
    assert short(seconds) == text
    assert short(timedelta(seconds=seconds)) == text

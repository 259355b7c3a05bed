from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.errors import InvalidJob
from jobqueue.model.retry import Backoff, RetryPolicy, constant, exponential, parse_attempts, parse_backoff

SHARE = st.floats(0, 1)
BACKOFFS = st.builds(
    Backoff, base=st.floats(0, 1e5), factor=st.floats(1, 100), cap=st.floats(0, 1e6), jitter=SHARE, steps=st.just(())
)


def test_waits_double_from_two_seconds_up_to_ten_minutes():
    waits = [Backoff().wait(attempt, chance=0) for attempt in range(1, 12)]

    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


def test_half_of_a_wait_is_chance():
    assert Backoff().wait(3, chance=0) == 8
    assert Backoff().wait(3, chance=0.5) == 6
    assert Backoff().wait(3, chance=1) == 4


@given(BACKOFFS, st.integers(1, 1000), SHARE)
def test_a_wait_is_never_negative_nor_above_the_cap(backoff, attempt, chance):
    wait = backoff.wait(attempt, chance)

    assert 0 <= wait <= backoff.cap
    assert timedelta(seconds=wait) >= timedelta(0)


@given(BACKOFFS, st.integers(1, 1000), SHARE)
def test_waits_never_shrink(backoff, attempt, chance):
    assert backoff.wait(attempt, chance) <= backoff.wait(attempt + 1, chance)


def test_the_last_step_is_repeated():
    backoff = parse_backoff(["1s", "10s", "1m"])

    assert [backoff.wait(attempt, chance=0.9) for attempt in (1, 2, 3, 4, 99)] == [1, 10, 60, 60, 60]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("5s", Backoff(steps=(5.0,), jitter=0.0)),
        (5, Backoff(steps=(5.0,), jitter=0.0)),
        (timedelta(minutes=1), Backoff(steps=(60.0,), jitter=0.0)),
        (["1s", 2], Backoff(steps=(1.0, 2.0), jitter=0.0)),
        ({"base": "1s", "cap": "1m", "factor": 3, "jitter": 0}, Backoff(base=1.0, cap=60.0, factor=3.0, jitter=0.0)),
        ({"steps": ["1s"], "jitter": 0.1}, Backoff(steps=(1.0,), jitter=0.1)),
        ({}, Backoff()),
        (Backoff(base=9.0), Backoff(base=9.0)),
    ],
)
def test_a_backoff_is_a_wait_a_list_of_waits_or_named_numbers(given, expected):
    assert parse_backoff(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("soon", "backoff: cannot read 'soon'"),
        (-1, "backoff: -1 is negative"),
        (None, "backoff: None is not a duration"),
        ([], "backoff: an empty list of waits"),
        (["1s", "x"], r"backoff\[1\]: cannot read 'x'"),
        ({"bsae": 1}, "backoff: unknown key 'bsae'; the keys are base"),
        ({"base": "x"}, "backoff.base: cannot read 'x'"),
        ({"factor": 0.5}, "backoff.factor: 0.5 is out of range; give 1 to 100"),
        ({"factor": True}, "backoff.factor: True is out of range"),
        ({"jitter": 2}, "backoff.jitter: 2 is out of range; give 0 to 1"),
        ({"steps": ["x"]}, r"backoff.steps\[0\]: cannot read 'x'"),
    ],
)
def test_a_wrong_backoff_is_refused_by_name(given, message):
    with pytest.raises(InvalidJob, match=message):
        parse_backoff(given)


@pytest.mark.parametrize("forged", [{"base": -1.0}, {"cap": 1e300}, {"factor": 1e308}, {"jitter": 7.0}, {"steps": [-5.0]}])
def test_a_file_cannot_carry_an_impossible_backoff(forged):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(forged, Backoff)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "max_attempts: 0 is out of range; give 1"),
        (1001, "1001 is out of range"),
        (True, "True is not a whole number"),
        ("3", "'3' is not a whole number"),
        (3.0, "3.0 is not a whole number"),
        (None, "None is not a whole number"),
    ],
)
def test_wrong_attempts_are_refused(given, message):
    with pytest.raises(InvalidJob, match=message):
        parse_attempts(given)


def test_policies_are_written_in_people_s_durations():
    assert exponential(base="2s", cap="5m", attempts=5) == RetryPolicy(attempts=5, backoff=Backoff(base=2.0, cap=300.0))
    assert constant("30s", attempts=2) == RetryPolicy(attempts=2, backoff=Backoff(steps=(30.0,), jitter=0.0))
    assert exponential() == RetryPolicy()
    with pytest.raises(InvalidJob):
        exponential(attempts=0)

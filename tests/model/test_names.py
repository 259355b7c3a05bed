from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.model.names import GIVEN_ID, ID, make_id, slug

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1), timezones=st.just(timezone.utc))
PLACES = st.tuples(st.integers(0, 99), TIMES)
SALTS = st.text("0123456789abcdef", min_size=8, max_size=8)


def test_an_id_reads_as_priority_time_and_salt():
    due = datetime(2026, 11, 22, 6, 15, 0, 123456, timezone.utc)

    assert make_id(10, due, False, "7f3a9c2b") == "10-20261122T061500123456-7f3a9c2b"
    assert make_id(5, due, True, "7f3a9c2b") == "05-20261122T061500123456d-7f3a9c2b"


@given(PLACES, PLACES, st.booleans(), st.booleans(), SALTS, SALTS)
def test_ids_sort_in_the_order_of_the_queue(one, other, delayed, other_delayed, salt, other_salt):
    first, second = make_id(*one, delayed, salt), make_id(*other, other_delayed, other_salt)

    if one != other:
        assert (first < second) == (one < other)


@given(PLACES, st.booleans(), SALTS)
def test_an_id_says_what_it_was_made_of(place, delayed, salt):
    made = ID.fullmatch(make_id(*place, delayed, salt))

    assert made is not None
    assert int(made[1]) == place[0]
    assert datetime.strptime(made[2], "%Y%m%dT%H%M%S%f").replace(tzinfo=timezone.utc) == place[1]
    assert (made[3] == "d", made[4]) == (delayed, salt)


def test_neighbouring_microseconds_are_told_apart():
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)

    assert make_id(10, moment, True, "ffffffff") < make_id(10, moment + timedelta(microseconds=1), False, "00000000")


@pytest.mark.parametrize("id", ["nightly", "2026-11-22_report.v2", "a@b", "_x", "7", "x" * 200])
def test_ids_that_may_be_given(id):
    assert GIVEN_ID.fullmatch(id)


@pytest.mark.parametrize("id", ["", ".hidden", "-rf", "a/b", "..", "a b", "größe", "x\n", "\0", "~", "x" * 201])
def test_ids_that_may_not_be_given(id):
    assert not GIVEN_ID.fullmatch(id)


def test_a_slug_is_the_first_words_and_the_time():
    payload = {"prompt": "Extract the login form component, please!"}

    assert slug(payload, "scan", 1708099200000) == "extract-the-login-form-component-1708099200000"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"title": "Über größe"}, "uber-groe"),
        ({"prompt": "  ", "url": "https://example.org/a"}, "https-example-org-a"),
        ({"prompt": "first", "title": "second"}, "first"),
        ({"prompt": 7, "text": "seven"}, "seven"),
        ({"title": "日本語"}, "job"),
        ({}, "scan-repo"),
    ],
)
def test_a_slug_takes_the_first_readable_text(payload, words):
    assert slug(payload, "scan_repo", 1) == f"{words}-1"


@given(st.dictionaries(st.sampled_from(["prompt", "title", "url"]), st.text() | st.integers()), st.text())
def test_a_slug_is_always_plain_and_short(payload, fallback):
    made = slug(payload, fallback, 1708099200000)

    assert made.isascii()
    assert GIVEN_ID.fullmatch(made)
    assert len(made) < 250

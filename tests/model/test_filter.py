from datetime import datetime, timedelta, timezone

import pytest

from jobqueue.errors import InvalidTime
from jobqueue.model.filter import Filter, make_filter, status_of, when
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.model.status import Status

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
JOB = Job(
    id="10-x",
    type="scan",
    name="the-first",
    payload={"repo": "Größe/Cat", "deep": [{"a": "needle"}]},
    project="p1",
    batch="b1",
    tags=("nightly", "big"),
    idempotency_key="k1",
    created_at=NOON - timedelta(days=2),
    updated_at=NOON - timedelta(days=1),
    finished_at=NOON - timedelta(days=1),
    error=Failure(reason="timeout", type="TimeoutError", message="took too long"),
)


@pytest.mark.parametrize(
    ("match", "other"),
    [
        ({"types": ("scan", "mail")}, {"types": ("mail",)}),
        ({"project": "p1"}, {"project": "p2"}),
        ({"batch": "b1"}, {"batch": "b"}),
        ({"tag": "big"}, {"tag": "bi"}),
        ({"key": "k1"}, {"key": ""}),
        ({"reason": "timeout"}, {"reason": "cancelled"}),
        ({"since": NOON - timedelta(days=1)}, {"since": NOON - timedelta(hours=23)}),
        ({"until": NOON - timedelta(hours=23)}, {"until": NOON - timedelta(days=1)}),
        ({"text": "needle"}, {"text": "haystack"}),
    ],
)
def test_each_field_matches_by_itself_and_all_must(match, other):
    assert Filter(**match).matches(JOB)
    assert not Filter(**other).matches(JOB)
    if match.keys() != {"types"}:
        assert Filter(types=("scan",), **match).matches(JOB)
        assert not Filter(types=("mail",), **match).matches(JOB)


@pytest.mark.parametrize(
    "text", ["10-X", "SCAN", "the-FIRST", "p1", "b1", "nightly", "GRÖSSE/cat", "größe", "needle", "TOO long", "timeouterror"]
)
def test_text_is_looked_for_everywhere_and_in_any_case(text):
    assert Filter(text=text).matches(JOB)


def test_text_is_found_in_the_error_of_an_attempt_that_will_be_repeated():
    attempt = Attempt(number=1, outcome="failed", error=Failure(message="boom"))

    assert Filter(text="boom").matches(Job(id="x", type="scan", history=(attempt,)))


def test_an_empty_filter_says_so_and_matches_all():
    assert Filter().empty
    assert make_filter(NOON).empty
    assert Filter().matches(JOB)
    assert not Filter(text="").empty
    assert not make_filter(NOON, type="scan").empty


def test_time_looks_at_the_last_change_then_at_the_creation():
    assert when(JOB) == JOB.updated_at
    assert when(Job(id="x", type="scan", created_at=NOON)) == NOON
    assert when(Job(id="x", type="scan")).year == 1970


def test_people_write_ages():
    assert make_filter(NOON, since="24h") == Filter(since=NOON - timedelta(days=1))
    assert make_filter(NOON, until="24h") == Filter(until=NOON - timedelta(days=1))
    assert make_filter(NOON, older_than="7d") == Filter(until=NOON - timedelta(days=7))
    assert make_filter(NOON, since="2026-11-22T12:00:00Z") == Filter(since=NOON)
    assert make_filter(NOON, type="scan") == Filter(types=("scan",))
    assert make_filter(NOON, type=["scan", "mail"]) == Filter(types=("scan", "mail"))


@pytest.mark.parametrize("field", ["since", "until", "older_than"])
def test_a_wrong_age_is_refused_by_its_name(field):
    with pytest.raises(InvalidTime, match=f"^{field}: "):
        make_filter(NOON, **{field: "yesterday"})


def test_a_finished_job_belongs_where_its_outcome_says():
    assert status_of(JOB) is Status.FAILED
    assert status_of(Job(id="x", type="scan", finished_at=NOON)) is Status.DONE

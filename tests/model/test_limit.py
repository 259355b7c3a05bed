from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.errors import InvalidJob
from jobqueue.model.budget import Spent, parse_budgets, pause_of, period_of, read_budgets, settle
from jobqueue.model.control import Control, Pause
from jobqueue.model.gate import RUN, judge_limit
from jobqueue.model.job import Job
from jobqueue.model.limit import Budget, Limit, Rate, fill_key, limits_on, merge, parse_limit, parse_rate, read_limits

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
RATES = st.builds(Rate, st.integers(1, 10_000), st.sampled_from([0.5, 1.0, 10.0, 60.0, 3600.0]))


@pytest.mark.parametrize(
    ("text", "rate", "written"),
    [
        ("30/m", Rate(30, 60), "30/m"),
        ("5 per second", Rate(5, 1), "5/s"),
        ("5 per seconds", Rate(5, 1), "5/s"),
        ("1000/day", Rate(1000, 86400), "1000/d"),
        ("100/10m", Rate(100, 600), "100/600s"),
        ("2/1.5s", Rate(2, 1.5), "2/1.5s"),
        (" 10 / H ", Rate(10, 3600), "10/h"),
    ],
)
def test_a_rate_is_read_and_written_back(text, rate, written):
    assert parse_rate(text) == rate
    assert str(rate) == written
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["30", "m", "0/m", "30/0s", "-1/m", "30/month", 30, None, "1e3/m"])
def test_what_is_no_rate_is_refused_with_an_example(text):
    with pytest.raises(InvalidJob, match=r"^rate: "):
        parse_rate(text)


@given(RATES)
def test_what_is_kept_of_a_rate_is_small_and_never_laxer(rate):
    kept = rate.kept

    parts = round(rate.seconds / kept.seconds)
    assert 1 <= kept.count <= 100
    assert abs(parts * kept.seconds - rate.seconds) < 1e-6 * rate.seconds  # whole windows make up the long one
    assert parts * kept.count <= rate.count


@given(RATES, st.lists(st.floats(0, 20), min_size=1, max_size=400))
def test_no_window_ever_holds_more_starts_than_the_rate_says(rate, gaps):
    """Starts are tried at any times; those that are let through never exceed the rate, and a refusal says when it opens."""
    now, starts = 1000.0, []
    for gap in gaps:
        now += gap * rate.seconds / 400
        opens_at = rate.opens_at(starts, now)
        if opens_at is None:
            starts.append(now)
            assert sum(start > now - rate.seconds for start in starts) <= rate.count
        else:
            assert now < opens_at <= now + rate.seconds
            assert rate.opens_at(starts, opens_at + 1e-9 * opens_at) is None


@given(RATES, st.lists(st.floats(-1e9, 1e9), max_size=300), st.floats(-1e9, 1e9))
def test_no_jump_of_the_clock_blocks_for_longer_than_one_window(rate, starts, now):
    opens_at = rate.opens_at(starts, now)

    assert opens_at is None or opens_at <= now + rate.seconds + 1e-3


def test_what_is_said_first_goes_before_what_is_said_then():
    first, then = (
        {"type:a": Limit(concurrency=1)},
        {"type:a": Limit(concurrency=5, rate=Rate(1, 1)), "queue": Limit(concurrency=9)},
    )

    assert merge(first, then) == {"type:a": Limit(concurrency=1, rate=Rate(1, 1)), "queue": Limit(concurrency=9)}


def test_the_limits_on_a_job_are_those_of_the_queue_its_type_and_its_key():
    rules = {"queue": Limit(concurrency=9), "type:scan": Limit(concurrency=2), "type:mail": Limit(concurrency=1)}

    assert limits_on(Job(id="1", type="scan"), {}) == {}
    assert list(limits_on(Job(id="1", type="scan"), rules)) == ["queue", "type:scan"]
    assert limits_on(Job(id="1", type="other", concurrency_key="k"), {}) == {"key:k": Limit(concurrency=1)}


def test_a_limit_is_read_from_settings():
    assert parse_limit("30/m") == Limit(rate=Rate(30, 60))
    assert read_limits({"*": {"concurrency": 8}, "fetch": {"rate": "30/m"}}) == {
        "queue": Limit(concurrency=8),
        "type:fetch": Limit(rate=Rate(30, 60)),
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["fetch"], "limits: "),
        ({"fetch": {"rat": "30/m"}}, "limits.fetch: "),
        ({"fetch": {"rate": "30"}}, "limits.fetch.rate: "),
        ({"fetch": {"concurrency": 0}}, "limits.fetch.concurrency: "),
        ({"fetch": {}}, "limits.fetch: "),
    ],
)
def test_a_wrong_setting_is_named(value, message):
    with pytest.raises(InvalidJob, match=f"^{message}"):
        read_limits(value)


@pytest.mark.parametrize(
    ("template", "payload", "key"),
    [
        ("repo", {"repo": "octo/cat"}, "octo/cat"),
        ("repo", {"repo": 7}, "7"),
        ("repo", {}, None),
        ("repo", {"repo": None}, None),
        ("{owner}/{repo}", {"owner": "octo", "repo": "cat"}, "octo/cat"),
        ("{owner}/{repo}", {"owner": "octo"}, None),
        ("repo {repo!r} {repo}", {"repo": "{owner}"}, "repo {repo!r} {owner}"),  # no format language: a payload is anybody's
    ],
)
def test_a_key_is_filled_in_from_the_payload(template, payload, key):
    assert fill_key(template, payload) == key


def test_why_a_limit_holds_a_job_is_one_sentence():
    start = NOON.timestamp()

    assert judge_limit("type:fetch", Limit(concurrency=3), ["a", "b"], [], NOON) == RUN
    assert judge_limit("type:fetch", Limit(concurrency=2), ["a", "b"], [], NOON).why == "2 of 2 'fetch' jobs are running"
    assert judge_limit("key:repo:x", Limit(concurrency=1), ["a"], [], NOON).why == "its concurrency key is held by a"
    told = judge_limit("queue", Limit(rate=Rate(1, 60)), [], [start - 20], NOON)
    assert told.why == "the rate of the queue (1/m) is used up until 12:00:40 UTC"
    assert told.until == NOON + timedelta(seconds=40)


@pytest.mark.parametrize(
    ("per", "since", "until"),
    [
        ("hour", "2026-11-22T12:00", "2026-11-22T13:00"),
        ("day", "2026-11-22T00:00", "2026-11-23T00:00"),
        ("week", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("month", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("12h", "2026-11-22T12:00", "2026-11-23T00:00"),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(per, since, until):
    moment = (NOON + timedelta(minutes=59)).astimezone(timezone(timedelta(hours=13)))

    assert [f"{edge:%Y-%m-%dT%H:%M}" for edge in period_of(per, moment)] == [since, until]


@given(st.datetimes(timezones=st.just(timezone.utc), min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)))
def test_one_period_ends_where_the_next_begins(moment):
    for per in ("hour", "day", "week", "month", "90m"):
        since, until = period_of(per, moment)
        assert since <= moment < until
        assert period_of(per, until)[0] == until


def spent(amount, per="day"):
    since, until = period_of(per, NOON)
    return Spent(type="scan", budget=Budget("tokens", 100, per), spent=amount, since=since, until=until)


def test_a_spent_budget_pauses_its_type_and_a_larger_one_ends_that():
    paused = settle(Control(), "scan", [spent(120)], NOON)

    assert paused.paused_types == {"scan": pause_of(spent(120), NOON)}
    assert settle(paused, "scan", [spent(130)], NOON) is paused
    assert settle(paused, "scan", [spent(80)], NOON).paused_types == {}
    assert settle(paused, "mail", [], NOON) is paused


def test_what_people_have_paused_stays_paused_by_them():
    said = Control(paused_types={"scan": Pause(by="ann", at=NOON)})

    assert settle(said, "scan", [spent(120)], NOON) is said
    assert settle(said, "scan", [spent(0)], NOON) is said


def test_of_two_spent_budgets_the_one_that_lasts_longer_counts():
    paused = settle(Control(), "scan", [spent(120), spent(120, "month")], NOON)

    assert paused.paused_types["scan"].until == datetime(2026, 12, 1, tzinfo=timezone.utc)


def test_what_was_used_is_told_in_one_line():
    assert str(spent(12.5)) == "scan: 12.50 of 100 tokens per day used, 87.50 left until 2026-11-23 00:00 UTC"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"scan": 5}, "budgets: "),
        ({"scan": {"per": "day"}}, "budgets.scan: no metric"),
        ({"scan": {"tokens": -1}}, "budgets.scan.tokens: "),
        ({"scan": {"tokens": 1, "per": "year"}}, "budgets.scan.per: "),
    ],
)
def test_a_wrong_budget_is_named(value, message):
    with pytest.raises(InvalidJob, match=f"^{message}"):
        read_budgets(value)


def test_a_budget_is_read_from_settings():
    assert read_budgets({"scan": {"tokens": 1000, "dollars": 2.5, "per": "month"}}) == {
        "scan": (Budget("tokens", 1000, "month"), Budget("dollars", 2.5, "month"))
    }
    assert parse_budgets({"tokens": 1}, "12h") == (Budget("tokens", 1, "12h"),)

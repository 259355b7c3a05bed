"""When a schedule is due, and what becomes of a run that was missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from jobqueue.errors import InvalidJob
from jobqueue.model.control import Pause
from jobqueue.model.schedule import (
    ScheduleRecord,
    decide,
    describe,
    latest_due,
    next_due,
    next_run,
    parse_cron,
    parse_zone,
    renewed,
)
from jobqueue.model.schedule_request import checked, read_schedule, read_schedules
from jobqueue.model.times import UTC

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def cron(expression: str, since: str = "2026-01-01T00:00Z", zone: str = "UTC", **more: Any) -> ScheduleRecord:
    return ScheduleRecord(name="s", type="t", cron=expression, timezone=zone, created_at=at(since), handled=at(since), **more)


def every(seconds: float, since: str = "2026-01-01T00:00Z", **more: Any) -> ScheduleRecord:
    return ScheduleRecord(name="s", type="t", every=seconds, created_at=at(since), handled=at(since), **more)


def runs(record: ScheduleRecord, until: str) -> list[str]:
    """The due times that a worker which never sleeps takes, as the clock of the schedule's zone shows them."""
    taken, zone = [], ZoneInfo(record.timezone)
    while (due := next_due(record, record.handled or at(until))) is not None and due <= at(until):
        taken.append(due.astimezone(zone).isoformat(timespec="minutes"))
        record = replace(record, handled=due)
    return taken


def never() -> bool:
    return False


@pytest.mark.parametrize(
    ("expression", "zone", "since", "until", "expected"),
    [
        ("0 6 * * mon-fri", "UTC", "2026-01-02T07:00Z", "2026-01-06T07:00Z", ["2026-01-05T06:00", "2026-01-06T06:00"]),
        ("@daily", "UTC", "2026-02-27T12:00Z", "2026-03-01T12:00Z", ["2026-02-28T00:00", "2026-03-01T00:00"]),
        ("0 0 31 * *", "UTC", "2026-01-01T00:00Z", "2026-04-01T00:00Z", ["2026-01-31T00:00", "2026-03-31T00:00"]),
        ("0 0 L * *", "UTC", "2026-01-01T00:00Z", "2026-03-01T00:00Z", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", "2032-03-01T00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 9 * * mon#2", "UTC", "2026-01-01T00:00Z", "2026-03-01T00:00Z", ["2026-01-12T09:00", "2026-02-09T09:00"]),
        # 2026-03-29 in Berlin: 02:00 to 03:00 is left out
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-30T12:00Z",
         ["2026-03-28T02:30", "2026-03-29T03:00", "2026-03-30T02:30"]),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T12:00Z", ["2026-03-29T03:00"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T12:00Z", ["2026-03-29T03:00"]),
        # 2026-10-25 in Berlin: 02:00 to 03:00 comes twice
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", "2026-10-26T12:00Z", ["2026-10-25T02:30", "2026-10-26T02:30"]),
        ("0 6 * * *", "Europe/Berlin", "2026-10-24T12:00Z", "2026-10-25T12:00Z", ["2026-10-25T06:00"]),
    ],
)  # fmt: skip
def test_a_due_time_comes_once(expression: str, zone: str, since: str, until: str, expected: list[str]) -> None:
    assert [text[:16] for text in runs(cron(expression, since, zone), until)] == expected


def test_what_runs_each_hour_does_so_in_the_hour_that_comes_twice() -> None:
    found = runs(cron("0 * * * *", "2026-10-24T23:30Z", "Europe/Berlin"), "2026-10-25T02:30Z")
    assert found == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"]


@pytest.mark.parametrize("start", ["2026-03-28T22:00Z", "2026-10-24T22:00Z"])
@pytest.mark.parametrize("expression", ["30 2 * * *", "*/20 * * * *", "15 1-4 * * *", "0 3 * * sun"])
def test_looking_often_or_seldom_gives_the_same_due_times(expression: str, start: str) -> None:
    """Also from within the hour that comes twice: what was due in it is not forgotten and not repeated."""
    record = cron(expression, start, "Europe/Berlin")
    all_due = runs(record, (at(start) + timedelta(hours=8)).isoformat())
    found: list[str] = []
    now, looked = at(start), record
    while now <= at(start) + timedelta(hours=8):
        if (due := latest_due(looked, now)) is not None:
            found.append(due.astimezone(BERLIN).isoformat(timespec="minutes"))
            looked = replace(looked, handled=due)
            assert latest_due(record, now) == due  # who slept all the time finds the same one
        now += timedelta(minutes=5)
    assert found == all_due


def test_every_counts_from_when_it_was_made() -> None:
    assert runs(every(900, "2026-01-01T00:07Z"), "2026-01-01T00:53Z") == [
        "2026-01-01T00:22+00:00",
        "2026-01-01T00:37+00:00",
        "2026-01-01T00:52+00:00",
    ]


@pytest.mark.parametrize("record", [cron("*/10 * * * *"), every(600)])
def test_of_several_missed_runs_the_latest_is_made_up_once_and_late(record: ScheduleRecord) -> None:
    now = at("2026-01-01T05:03Z")

    turn = decide(record, now, never)

    assert (turn.action, turn.due, turn.late) == ("run", at("2026-01-01T05:00Z"), timedelta(minutes=3))
    assert decide(replace(record, handled=turn.due), now, never).action == "nothing"


def test_a_run_within_a_minute_is_not_late() -> None:
    turn = decide(cron("0 * * * *"), at("2026-01-01T05:00:59Z"), never)
    assert (turn.action, turn.late) == ("run", None)


def test_a_run_later_than_one_period_is_late() -> None:
    turn = decide(replace(every(10), handled=at("2026-01-01T00:00Z")), at("2026-01-01T00:00:10Z"), never)
    assert turn.late is None
    skipping = replace(every(10), missed="skip")
    assert decide(skipping, at("2026-01-01T00:00:10Z"), never).action == "run"


def test_skip_leaves_a_missed_run_out_and_says_so() -> None:
    record = cron("0 6 * * *", missed="skip")

    assert decide(record, at("2026-01-01T06:00:30Z"), never).action == "run"
    turn = decide(record, at("2026-01-01T09:00Z"), never)

    assert (turn.action, turn.due) == ("skip", at("2026-01-01T06:00Z"))
    assert turn.why == "the run of 2026-01-01 06:00:00 UTC was skipped: 3 h late"


def test_a_clock_that_is_set_back_runs_nothing_twice() -> None:
    record = replace(cron("0 * * * *"), handled=at("2026-01-01T12:00Z"))
    for text in ("2026-01-01T11:00Z", "2026-01-01T11:59Z", "2026-01-01T12:00Z", "2026-01-01T12:59Z"):
        assert decide(record, at(text), never).action == "nothing"
    assert next_run(record, at("2026-01-01T11:05Z")) == at("2026-01-01T13:00Z")


@pytest.mark.parametrize(("overlap", "action"), [("wait", "wait"), ("skip", "skip"), ("allow", "run")])
def test_overlap_says_what_happens_while_the_previous_job_is_unfinished(overlap: Any, action: str) -> None:
    record = cron("0 * * * *", overlap=overlap, last_job="10-a")
    turn = decide(record, at("2026-01-01T05:00Z"), lambda: True)
    assert turn.action == action
    assert ("10-a" in turn.why) == (action != "run")


def test_a_paused_schedule_is_never_due() -> None:
    record = cron("0 * * * *", paused=Pause(by="ann", at=at("2026-01-01T00:00Z")))
    assert decide(record, at("2026-01-03T00:00Z"), never).action == "nothing"
    assert next_run(record, at("2026-01-03T00:00Z")) is None


def test_the_latest_due_time_is_found_at_once_however_long_ago_it_was() -> None:
    minutely, yearly = cron("* * * * *", "2020-01-01T00:00Z"), cron("0 0 1 1 *", "1980-01-01T00:00Z")
    assert latest_due(minutely, at("2026-06-01T12:00:30Z")) == at("2026-06-01T12:00Z")
    assert latest_due(yearly, at("2026-06-01T12:00Z")) == at("2026-01-01T00:00Z")
    assert latest_due(cron("0 0 29 2 mon", "2000-01-01T00:00Z"), at("2000-01-02T00:00Z")) is None


def test_due_times_grow() -> None:
    record = cron("*/7 1-3 * * *", "2026-10-24T00:00Z", "Europe/Berlin")
    due: list[datetime] = [at("2026-10-24T00:00Z")]
    for _ in range(150):
        found = next_due(record, due[-1])
        assert found is not None
        due.append(found)
    assert all(one < other for one, other in pairwise(due))


def test_made_again_with_the_same_timing_it_goes_on() -> None:
    old = every(900, last_run=at("2026-01-01T01:00Z"), last_job="a", paused=Pause(by="x", at=at("2026-01-01T00:00Z")))
    old = replace(old, handled=at("2026-01-01T01:00Z"))
    again = replace(every(900, "2026-01-01T01:10Z"), payload={"a": 1})
    other = every(600, "2026-01-01T01:10Z")

    same, new = renewed(old, again), renewed(old, other)

    assert (same.created_at, same.handled, same.payload) == (old.created_at, old.handled, {"a": 1})
    assert (new.created_at, new.handled) == (other.created_at, other.handled)
    assert (new.paused, new.last_job) == (old.paused, "a")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("60 * * * *", "cron: '60 * * * *' cannot be read (bad minute)"),
        ("0 6 * * fri-mon", "cron: '0 6 * * fri-mon' cannot be read (bad day-of-week)"),
        ("0 0 30 2 *", "cron: '0 0 30 2 *' cannot be read (bad day-of-month)"),
        ("* * * *", "cron: '* * * *' cannot be read (wrong number of fields)"),
        ("*/5 * * * * *", "cron: '*/5 * * * * *' has six fields"),
        ("@dayly", "cron: '@dayly' is unknown (did you mean '@daily'?)"),
        ("", "cron: '' is not a cron expression"),
        (5, "cron: 5 is not a cron expression"),
    ],
)
def test_a_wrong_expression_names_the_part(expression: Any, message: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        parse_cron(expression)
    assert str(caught.value).startswith(message)
    assert 'like "0 6 * * mon-fri"' in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("berlin", "'Europe/Berlin'"), ("Europe/Berln", "'Europe/Berlin'"), ("utc", "'UTC'"), ("../../etc/passwd", ""), ("", "")],
)
def test_an_unknown_zone_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        parse_zone(name)
    assert (f"(did you mean {hint}?)" if hint else "is no known zone") in str(caught.value)


def test_zones_may_be_objects() -> None:
    assert parse_zone(BERLIN) == "Europe/Berlin"
    assert parse_zone(UTC) == "UTC"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cron": "@daily"}, "type: missing"),
        ({"type": "a"}, "cron: missing"),
        ({"type": "a", "cron": "@daily", "every": 5}, "every: given together with cron"),
        ({"type": "a", "every": 5, "timezone": "UTC"}, "timezone: goes with cron"),
        ({"type": "a", "every": 0.5}, "every: 0.5 is too short"),
        ({"type": "a", "every": "1h", "missed": "twice"}, "missed: 'twice' is not known"),
        ({"type": "a", "every": "1h", "overlap": "alow"}, "overlap: 'alow' is not known (did you mean 'allow'?)"),
        ({"type": "a", "every": "1h", "delay": "1h"}, "delay: belongs to one job"),
        ({"type": "a", "every": "1h", "prioritty": 1}, "prioritty: not an option of a schedule (did you mean 'priority'?)"),
        ({"type": "a", "every": "1h", "priority": 100}, "priority: 100 is out of range"),
        ({"type": "a/b", "every": "1h"}, "name: the type 'a/b' cannot be the name of a schedule"),
        ({"type": "a", "every": "1h", "name": "../x"}, "name: '../x' cannot name a schedule"),
        ({"type": "a", "every": "1h", "name": "x" * 101}, "name: 'xxx"),
        ({"type": "a", "every": "1h", "payload": {"a": {1}}}, "payload.a: "),
    ],
)
def test_a_wrong_schedule_names_the_field(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        read_schedule(given, at("2026-01-01T00:00Z"))
    assert str(caught.value).startswith(message)


def test_options_are_kept_as_json_that_means_the_same_again() -> None:
    now = at("2026-01-01T00:00Z")
    given = {"type": "a", "every": "1h", "priority": "high", "tags": ["x"], "backoff": ["1s", "5s"], "timeout": "10m"}
    record = read_schedule(given | {"expires_in": "2h", "max_retries": 1, "project": 7}, now)
    assert record.options["expires_in"] == 7200
    assert (record.options["priority"], record.options["max_attempts"], record.options["project"]) == (5, 2, "7")
    assert checked(record, "a") == record


def test_a_file_that_says_another_name_or_nonsense_is_no_schedule() -> None:
    record = cron("@daily")
    for wrong, name in [(record, "other"), (replace(record, cron="x"), "s"), (replace(record, timezone="Nowhere"), "s")]:
        with pytest.raises(InvalidJob):
            checked(wrong, name)
    for wrong in (replace(record, created_at=None), replace(record, handled=at("9999-01-01T00:00Z"))):
        with pytest.raises(InvalidJob):
            checked(wrong, "s")


def test_settings_are_a_mapping_or_a_list() -> None:
    expected = ({"cron": "@daily", "name": "scan", "type": "scan"},)
    assert read_schedules({"scan": {"cron": "@daily"}}, "schedules") == expected
    assert read_schedules([{"cron": "@daily", "type": "scan"}], "schedules") == expected


def test_words_for_people() -> None:
    assert describe(cron("0 6 * * mon-fri", zone="Europe/Berlin")) == "at 06:00 on Monday through Friday (Europe/Berlin)"
    assert describe(every(900)) == "every 15 min"

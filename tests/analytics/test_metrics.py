"""Metrics of a history that was added up by hand, of any history beside plain Python, and of what real workers did."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue import JobContext, Queue, Worker, analytics, handler
from jobqueue.analytics import measuring
from jobqueue.analytics.metrics import Metrics, group_summaries
from jobqueue.analytics.schema import ATTEMPTS
from jobqueue.errors import InvalidJob, InvalidTime
from jobqueue.model.entry import AttemptEntry
from jobqueue.testing import FakeClock

warnings.simplefilter("ignore")
UTC = timezone.utc
NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def at(hour: int, minute: int) -> datetime:
    return datetime(2026, 1, 1, hour, minute, tzinfo=UTC)


def entry(
    job: str, type: str, number: int, outcome: str, ended: datetime, run: float, wait: float, tokens: float = 0
) -> AttemptEntry:
    metrics = {"tokens": tokens} if tokens else {}
    times = {"claimed_at": ended - run * MS, "finished_at": ended, "wait_ms": wait, "run_ms": run}
    return AttemptEntry(job=job, type=type, number=number, outcome=outcome, metrics=metrics, **times)  # type: ignore[arg-type]


HISTORY = [
    entry("a", "scan", 1, "done", at(10, 5), 100, 10, tokens=5),
    entry("b", "scan", 1, "failed", at(10, 10), 300, 20),
    entry("c", "scan", 1, "failed", at(10, 30), 500, 30),
    entry("b", "scan", 2, "done", at(11, 20), 200, 1000, tokens=7),
    entry("d", "mail", 1, "crashed", at(11, 40), 9_000_000, 40),
    entry("e", "mail", 1, "cancelled", at(11, 50), 50, 60),
    entry("f", "mail", 1, "snoozed", at(11, 55), 5, 70, tokens=1),
    entry("g", "mail", 1, "done", at(12, 15), -400, 80, tokens=2),
    entry("h", "mail", 1, "done", at(12, 20), 700, 90),
]
"""It is 12:30. b fails at first and is done later; c fails for good, d with its process; e is cancelled, f snoozed; while g
ran the clock was put back."""


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", durability="relaxed", clock=FakeClock(NOW)) as made:
        yield made


@pytest.fixture
def history(queue: Queue) -> Queue:
    queue.store.recording.write(HISTORY)  # type: ignore[attr-defined]
    return queue


def test_a_history_added_up_by_hand(history: Queue) -> None:
    found = analytics.metrics(history, "24h")
    # Jobs that ended: a, b, g, h done; c, d failed. e is cancelled, f has not ended. 4 / 6.
    assert (found.count, found.completed, found.failed, found.success_rate) == (6, 4, 2, 4 / 6)
    # Attempts that ended: all but f. The only second try is that of b. d crashed, e was cancelled, g had a clock jump.
    assert (found.attempts, found.retries, found.crashes, found.cancelled, found.clock_jumps) == (8, 1, 1, 1, 1)
    # Ran: a 100, b 300 and 200, c 500, h 700; not d (crashed), e (cancelled), f (snoozed), g (clock). 1800 / 5 = 360.
    assert [found.run_avg, found.run_min, found.run_max] == [360 * MS, 100 * MS, 700 * MS]
    # 100 200 300 500 700: p50 is the third; p95 is at 0.95 x 4 = 3.8, 500 + 0.8 x 200; p99 at 3.96, 500 + 0.96 x 200.
    assert [found.run_p50, found.run_p95, found.run_p99] == [300 * MS, 660 * MS, 692 * MS]
    # Waited: 10 20 30 40 60 90 1000 (a, b, c, d, e, h, b again), not f and g. 1250 / 7 = 178.571 ms.
    assert [found.wait_avg, found.wait_min, found.wait_max] == [timedelta(microseconds=178_571), 10 * MS, 1000 * MS]
    # p50 is the fourth; p95 at 0.95 x 6 = 5.7, 90 + 0.7 x 910; p99 at 5.94, 90 + 0.94 x 910.
    assert [found.wait_p50, found.wait_p95, found.wait_p99] == [40 * MS, 727 * MS, 945.4 * MS]
    # Tokens: 5 + 7 + 1 + 2, those of the snoozed attempt too.
    assert found.metrics == {"tokens": 15}
    # From 13:00 of the day before to 12:30 are 23.5 hours.
    assert found.throughput == pytest.approx(6 / 23.5)


def test_the_summary_has_exactly_the_keys_and_units_of_the_route(history: Queue) -> None:
    summary = analytics.metrics(history, "24h", every="6h").summary
    hours = {hour.pop("hour"): hour for hour in summary["hourlyBreakdown"]}
    del summary["hourlyBreakdown"]
    assert summary == {"successRate": 4 / 6, "avgDuration": 360, "minDuration": 100, "maxDuration": 700, "totalTokens": 15}
    assert [type(summary[key]) for key in ("avgDuration", "totalTokens")] == [int, int]
    # 10h: a done, c failed (b was tried again); (100 + 300 + 500) / 3. 11h: b done, d failed; 200; 7 and f's 1. 12h: g, h; 700.
    ten = {"completed": 1, "failed": 1, "avgDuration": 300, "tokens": 5}
    eleven = {"completed": 1, "failed": 1, "avgDuration": 200, "tokens": 8}
    twelve = {"completed": 2, "failed": 0, "avgDuration": 700, "tokens": 2}
    nothing = {"completed": 0, "failed": 0, "avgDuration": None, "tokens": None}
    assert hours.pop("2026-01-01T10:00:00.000000Z") == ten
    assert hours.pop("2026-01-01T11:00:00.000000Z") == eleven
    assert hours.pop("2026-01-01T12:00:00.000000Z") == twelve
    assert list(hours.values()) == [nothing] * 16  # 18:00 of the day before to 9:00: by six hours the range begins there


def test_periods_by_the_hour(history: Queue) -> None:
    frame = analytics.metrics(history).frame
    assert len(frame) == 24
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert (frame.index[0], frame.index[-1]) == (datetime(2025, 12, 31, 13, tzinfo=UTC), at(12, 0))
    last = frame.iloc[-1]
    # g and h in the half hour since 12:00
    assert (last["count"], last["success_rate"], last["throughput"]) == (2, 1.0, 4.0)
    assert last["run_p95"] == pd.Timedelta(700 * MS)
    empty = frame.iloc[0]
    assert (empty["count"], empty["throughput"]) == (0, 0.0)
    assert empty[["success_rate", "run_avg", "wait_p99", "metrics.tokens"]].isna().all()


def test_groups(history: Queue) -> None:
    frame = analytics.metrics(history, "24h", by="type").frame
    assert frame.index.name == "type"
    # mail: g, h done, d failed; scan: a, b done, c failed
    assert frame[["completed", "failed", "retries", "crashes"]].to_dict("index") == {
        "mail": {"completed": 2, "failed": 1, "retries": 0, "crashes": 1},
        "scan": {"completed": 2, "failed": 1, "retries": 1, "crashes": 0},
    }
    assert frame["metrics.tokens"].to_dict() == {"mail": 3, "scan": 12}
    two = analytics.metrics(history, "24h", by=["type", "outcome"]).frame
    assert two["attempts"].to_dict() == {
        ("mail", "cancelled"): 1,
        ("mail", "crashed"): 1,
        ("mail", "done"): 2,
        ("mail", "snoozed"): 0,
        ("scan", "done"): 2,
        ("scan", "failed"): 2,
    }
    assert analytics.metrics(history, "24h", by="attempt").frame["attempts"].to_dict() == {1: 7, 2: 1}
    none = analytics.metrics(history, "24h", by="project").frame
    assert none.index.isna().all()
    assert list(none["count"]) == [6]
    assert group_summaries(analytics.metrics(history, by="project"))[""]["avgDuration"] == 360


def test_success_of_attempts_instead_of_jobs(history: Queue) -> None:
    found = analytics.metrics(history, "24h", count="attempts")
    # done: a, b again, g, h; failed: b at first, c, d
    assert (found.completed, found.failed, found.success_rate) == (4, 3, 4 / 7)


def test_a_retry_to_come_is_a_failure_as_far_as_is_known(history: Queue) -> None:
    found = analytics.metrics(history, since=at(10, 0), until=at(11, 0))
    # at 11:00 b had failed once and c for good; a was done
    assert (found.completed, found.failed) == (1, 2)


def test_a_retry_by_a_person_begins_anew(queue: Queue) -> None:
    lives = [("failed", 1), ("failed", 2), ("failed", 1), ("done", 2)]
    rows = [entry("a", "scan", number, outcome, at(10, minute), 1, 1) for minute, (outcome, number) in enumerate(lives)]
    queue.store.recording.write(rows)  # type: ignore[attr-defined]
    found = analytics.metrics(queue)
    # tried twice and failed; then asked for again, tried twice and done
    assert (found.completed, found.failed, found.retries) == (1, 1, 2)


def test_filters(history: Queue) -> None:
    assert analytics.metrics(history, type="scan").count == 3
    assert analytics.metrics(history, type=["scan", "mail"], outcome="done").completed == 4
    assert analytics.metrics(history, project="p").count == 0
    assert analytics.metrics(history, project=None).count == 6


def test_ranges(history: Queue) -> None:
    assert len(analytics.metrics(history, "7d").frame) == 168
    assert len(analytics.metrics(history, "30d", every="1d").frame) == 30
    everything = analytics.metrics(history, "all")
    assert list(everything.frame["count"]) == [2, 2, 2]
    assert analytics.metrics(history, timedelta(hours=2)).count == 4
    assert analytics.metrics(history, "10m").count == 1  # h at 12:20; shorter than a period, and to the point
    assert analytics.metrics(history, since="45m").count == 2
    assert analytics.metrics(history, until=at(10, 30)).count == 2  # c ended at 10:30, which is no longer in it; b has not
    assert analytics.metrics(analytics.attempts(history), since=at(0, 0)).count == 6


def test_what_has_just_ended_is_in(queue: Queue) -> None:
    queue.clock.advance("30m")  # type: ignore[attr-defined]  # on the hour
    queue.store.recording.write([entry("a", "scan", 1, "done", at(13, 0), 1, 1)])  # type: ignore[attr-defined]
    found = analytics.metrics(queue)
    assert len(found.frame) == 24
    assert (found.count, found.frame["count"].iloc[-1], found.frame["count"].sum()) == (1, 1, 1)
    assert pd.isna(found.frame["throughput"].iloc[-1])


@pytest.mark.parametrize("range", ["24h", "7d", "30d"])
def test_nothing_is_missing_and_not_zero(queue: Queue, range: str) -> None:
    found = analytics.metrics(queue, range)
    hours = {"24h": 24, "7d": 168, "30d": 720}[range]
    assert len(found.frame) == len(found.summary["hourlyBreakdown"]) == hours
    assert {key: found.summary[key] for key in found.summary if key != "hourlyBreakdown"} == dict.fromkeys(
        ("successRate", "avgDuration", "minDuration", "maxDuration", "totalTokens")
    )
    assert (found.count, found.success_rate, found.run_p95, found.wait_avg) == (0, None, None, None)
    assert "success     -" in repr(found)
    assert "<td" in found._repr_html_()


def test_nothing_at_all(queue: Queue) -> None:
    found = analytics.metrics(queue, "all", by="type")
    assert len(found.frame) == len(found.periods) == 0
    assert found.summary["hourlyBreakdown"] == []
    assert list(found.frame.columns) == list(analytics.metrics(queue, "24h").frame.columns)
    assert found.throughput is None
    assert "no attempt has ended" in repr(found)
    assert "<td" in found._repr_html_()


def test_one_attempt_and_only_cancelled_ones(queue: Queue) -> None:
    queue.store.recording.write([entry("a", "scan", 1, "cancelled", at(12, 0), 5, 7)])  # type: ignore[attr-defined]
    only = analytics.metrics(queue)
    assert (only.count, only.success_rate, only.cancelled, only.run_avg, only.wait_avg) == (0, None, 1, None, 7 * MS)
    queue.store.recording.write([entry("b", "scan", 1, "done", at(12, 1), 5, 9)])  # type: ignore[attr-defined]
    found = analytics.metrics(queue, outcome="done")
    assert {found.run_avg, found.run_min, found.run_max, found.run_p50, found.run_p95, found.run_p99} == {5 * MS}
    assert json.dumps(found.summary)


def test_only_clock_jumps(queue: Queue) -> None:
    queue.store.recording.write([entry("a", "scan", 1, "done", at(12, 0), -5, 7)])  # type: ignore[attr-defined]
    found = analytics.metrics(queue)
    assert (found.count, found.success_rate, found.run_avg, found.wait_max, found.clock_jumps) == (1, 1.0, None, None, 1)
    assert "clock jumps" in repr(found)


def test_days_of_a_time_zone_where_the_clock_changes(queue: Queue) -> None:
    queue.clock.time = datetime(2026, 3, 30, 10, tzinfo=UTC)  # type: ignore[attr-defined]
    night = [
        datetime(2026, 3, 28, 22, 30, tzinfo=UTC),
        datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 21, 30, tzinfo=UTC),
    ]
    rows = [entry(f"a{number}", "scan", 1, "done", ended, 1, 1) for number, ended in enumerate(night)]
    queue.store.recording.write(rows)  # type: ignore[attr-defined]
    days = analytics.metrics(queue, "7d", every="1d", timezone="Europe/Berlin").frame
    # In Berlin: 23:30 on the 28th; 0:30 on the 29th; and, two hours ahead since that night, 23:30 on the 29th.
    assert [f"{day:%d %H:%M}" for day in days.index] == [f"{day} 00:00" for day in range(24, 31)]
    assert list(days["count"]) == [0, 0, 0, 0, 1, 2, 0]
    # The 29th has 23 hours.
    assert days["throughput"].iloc[5] == pytest.approx(2 / 23)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"range": "24hours"}, "did you mean '24h'"),
        ({"range": "al"}, "did you mean 'all'"),
        ({"range": "month"}, "give 24h, 7d, 30d, all"),
        ({"range": "0s"}, "nothing lies in 0 s"),
        ({"range": "24h", "since": "1h"}, "give the one or the others"),
        ({"since": datetime(2026, 1, 1)}, "has no time zone; write"),
        ({"until": datetime(2026, 1, 1)}, "until: 2026-01-01T00:00:00 has no time zone"),
        ({"since": "1h", "until": "2h"}, "since: .* is not before"),
        ({"by": "typ"}, "by: 'typ' is unknown .did you mean 'type'"),
        ({"by": ["type", "error"]}, "by: 'error' is unknown"),
        ({"projekt": "p"}, "filter: 'projekt' is unknown .did you mean 'project'"),
        ({"every": "36h"}, "neither part of a day nor whole days"),
        ({"every": "1ms"}, "too short"),
        ({"every": "1s", "range": "30d"}, "more than 1,000,000 periods"),
        ({"timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"count": "job"}, "did you mean 'jobs'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_fix(queue: Queue, given: dict[str, Any], said: str) -> None:
    with pytest.raises((InvalidTime, InvalidJob), match=said):
        repr(analytics.metrics(queue, **given))


def test_a_frame_of_something_else_is_refused(history: Queue) -> None:
    with pytest.raises(InvalidJob, match="the frame has no job, attempt, .*give a queue, or rows of analytics.attempts"):
        analytics.metrics(analytics.jobs(history))


def test_of_many_periods_the_last_are_shown(history: Queue) -> None:
    page = analytics.metrics(history, "7d")._repr_html_()
    assert "the last 60 of 168 periods" in page
    assert "2026-01-01 12:00" in page
    assert "2025-12-29" not in page.partition("the last 60")[2]


def test_an_unknown_attribute(queue: Queue) -> None:
    found = analytics.metrics(queue)
    with pytest.raises(AttributeError, match="did you mean 'success_rate'"):
        found.succes_rate  # noqa: B018
    assert "success_rate" in dir(found)


# Purging


@handler
def works(n: int, ctx: JobContext) -> None:
    ctx.metric("tokens", n)
    if n % 3 == 0:
        raise ValueError(f"row {n}")


def told(found: Metrics) -> Any:
    return found.summary, found.total, found.frame


def test_purging_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path / "q", durability="relaxed")
    for n in range(12):
        queue.enqueue("works", {"n": n}, max_attempts=2, backoff=0, project=f"p{n % 2}")
    Worker(queue, [works]).run(drain=True)
    last = datetime.now(UTC)
    before = [
        told(analytics.metrics(queue, since="1h", until=last, by=by, project=project))
        for by in (None, "type")
        for project in (None, "p1")
    ]
    assert before[0][1].count == 12
    assert before[0][1].retries == 4
    assert (len(queue.purge()), len(queue.purge(status="failed"))) == (8, 4)
    assert len(queue) == 0
    with Queue(tmp_path / "q") as again:
        after = [
            told(analytics.metrics(again, since="1h", until=last, by=by, project=project))
            for by in (None, "type")
            for project in (None, "p1")
        ]
    for (a, b, c), (x, y, z) in zip(before, after, strict=True):
        assert (a["hourlyBreakdown"], b.completed, b.run_p95, b.metrics) == (
            x["hourlyBreakdown"],
            y.completed,
            y.run_p95,
            y.metrics,
        )
        measured = [name for name in c if name != "throughput"]  # which since="1h" moves with the clock
        pd.testing.assert_frame_equal(c[measured], z[measured])
    queue.close()


# Beside plain Python

OUTCOMES = ("done", "failed", "crashed", "cancelled", "snoozed", "released")
rows = st.lists(
    st.fixed_dictionaries(
        {
            "job": st.sampled_from("abcdef"),
            "type": st.sampled_from(["x", "y", "z"]),
            "project": st.sampled_from(["p", "q", None]),
            "attempt": st.integers(1, 3),
            "outcome": st.sampled_from(OUTCOMES),
            "minutes": st.integers(0, 300),
            "run": st.none() | st.integers(-5, 10_000_000),
            "wait": st.none() | st.integers(-5, 10_000_000),
            "clock_jump": st.booleans(),
            "metrics.tokens": st.none() | st.integers(-3, 1000),
        }
    ),
    max_size=40,
)


def frame_of(made: list[dict[str, Any]]) -> pd.DataFrame:
    """Attempts as the schema has them, in the order of their ends."""
    made = sorted(made, key=lambda row: row["minutes"])
    columns: dict[str, Any] = {name: [row.get(name) for row in made] for name in ATTEMPTS}
    columns["finished_at"] = [NOW - timedelta(minutes=row["minutes"] * -1 + 300) for row in made]
    for name in ("run", "wait"):
        columns[name] = [None if row[name] is None else pd.Timedelta(microseconds=row[name]) for row in made]
    frame = pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in ATTEMPTS.items()})
    frame["metrics.tokens"] = pd.Series([row["metrics.tokens"] for row in made], dtype="float64")
    return frame


def percentile(values: list[int], share: Fraction) -> Fraction:
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    low = int(place)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (place - low) * (ranked[high] - ranked[low])


def reference(all_rows: list[dict[str, Any]], mine: list[dict[str, Any]], by_attempts: bool) -> dict[str, Any]:
    """The same numbers of some rows, by the words of the module's docstring; tries of a job are looked for in all rows."""
    ended = [row for row in mine if row["outcome"] in ("done", "failed", "crashed", "cancelled")]
    done = [row for row in mine if row["outcome"] == "done"]
    bad = [row for row in mine if row["outcome"] in ("failed", "crashed")]
    failed = bad if by_attempts else [row for row in bad if not goes_on(all_rows, row)]
    found: dict[str, Any] = {
        "count": len(done) + len(failed),
        "completed": len(done),
        "failed": len(failed),
        "success_rate": len(done) / (len(done) + len(failed)) if done or failed else None,
        "cancelled": sum(row["outcome"] == "cancelled" for row in mine),
        "attempts": len(ended),
        "retries": sum(row["attempt"] > 1 for row in ended),
        "crashes": sum(row["outcome"] == "crashed" for row in mine),
        "clock_jumps": sum(row["clock_jump"] for row in ended),
    }
    for name, counted in (("run", ("done", "failed")), ("wait", ("done", "failed", "crashed", "cancelled"))):
        values = [row[name] for row in ended if row[name] is not None and not row["clock_jump"] and row["outcome"] in counted]
        found[f"{name}_avg"] = Fraction(sum(values), len(values)) if values else None
        found |= {f"{name}_min": min(values, default=None), f"{name}_max": max(values, default=None)}
        for part, share in {"p50": Fraction(1, 2), "p95": Fraction(19, 20), "p99": Fraction(99, 100)}.items():
            found[f"{name}_{part}"] = percentile(values, share) if values else None
    tokens = [row["metrics.tokens"] for row in mine if row["metrics.tokens"] is not None]
    return found | {"metrics.tokens": sum(tokens) if tokens else None}


def goes_on(all_rows: list[dict[str, Any]], row: dict[str, Any]) -> bool:
    """Whether the next that is known of a job is a later try of the same life."""
    of_job = [other for other in all_rows if other["job"] == row["job"] and telling(other)]
    ranked = sorted(of_job, key=lambda other: (other["minutes"], other["attempt"]))
    place = next(number for number, other in enumerate(ranked) if other is row)
    return place + 1 < len(ranked) and ranked[place + 1]["attempt"] > row["attempt"]


def telling(row: dict[str, Any]) -> bool:
    return row["attempt"] > 1 or row["outcome"] in ("failed", "crashed")


def assert_same(row: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        got = row[name]
        if value is None:
            assert pd.isna(got), name
        elif name.startswith(("run_", "wait_")):
            assert abs(Fraction(got // pd.Timedelta(microseconds=1)) - value) <= Fraction(501, 1000), name
        else:
            assert got == pytest.approx(float(value), rel=1e-12), name


@settings(max_examples=90, deadline=None)
@given(rows, st.sampled_from(["jobs", "attempts"]))
def test_any_history_adds_up_as_in_plain_python(made: list[dict[str, Any]], count: str) -> None:
    frame, start = frame_of(made), NOW - timedelta(minutes=300)
    made = sorted(made, key=lambda row: row["minutes"])
    by_attempts = count == "attempts"

    def measured(**given: Any) -> Metrics:
        return analytics.metrics(frame, since=start, until=NOW + timedelta(minutes=1), count=count, **given)

    total = measured()
    assert_same(
        {**vars(total.total), "metrics.tokens": total.metrics.get("tokens")} | spans(total), reference(made, made, by_attempts)
    )
    for by in ("type", "project"):
        groups = measured(by=by).frame
        assert len(groups) == len({row[by] for row in made})
        for label, row in zip(groups.index, groups.to_dict("records"), strict=True):
            mine = [one for one in made if one[by] == (None if pd.isna(label) else label)]
            assert_same(row, reference(made, mine, by_attempts))  # type: ignore[arg-type]
    periods = total.frame
    assert len(periods) == 6  # 7:30 to 12:31
    for begin, row in zip(periods.index, periods.to_dict("records"), strict=True):
        mine = [one for one in made if begin <= start + timedelta(minutes=one["minutes"]) < begin + timedelta(hours=1)]
        assert_same(row, reference(made, mine, by_attempts))  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(rows)
def test_a_great_many_groups_are_ranked_alike(made: list[dict[str, Any]]) -> None:
    frame = frame_of(made)
    alone = analytics.metrics(frame, "all", by=["type", "outcome", "attempt"]).frame
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "MOST_ALONE", 0)
        together = analytics.metrics(frame, "all", by=["type", "outcome", "attempt"]).frame
    pd.testing.assert_frame_equal(alone.drop(columns="throughput"), together.drop(columns="throughput"))


def spans(found: Metrics) -> dict[str, Any]:
    return {name: pd.Timedelta(value) for name, value in vars(found.total).items() if isinstance(value, timedelta)}


@settings(max_examples=30, deadline=None)
@given(rows, st.randoms())
def test_the_order_of_the_rows_does_not_matter(made: list[dict[str, Any]], random: Any) -> None:
    frame = frame_of(made)
    mixed = frame.sample(frac=1, random_state=random.randrange(1000)) if len(frame) else frame
    pd.testing.assert_frame_equal(
        analytics.metrics(frame, "all", by="type").frame.drop(columns="throughput"),
        analytics.metrics(mixed, "all", by="type").frame.drop(columns="throughput"),
    )


def test_a_frame_without_any_metric_has_no_tokens() -> None:
    frame = frame_of([])
    assert "metrics.tokens" in analytics.metrics(frame, "24h").frame
    assert analytics.metrics(frame.drop(columns="metrics.tokens"), "24h").summary["totalTokens"] is None
    assert np.isnan(analytics.metrics(frame, "24h").frame["metrics.tokens"]).all()

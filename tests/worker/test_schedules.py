"""Schedules at work: real folders, real workers, workers that die in the middle."""

from __future__ import annotations

import json
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, handler
from jobqueue.errors import InvalidJob, ScheduleNotFound
from jobqueue.model.job import Job
from jobqueue.queue.config import Config, load_config
from jobqueue.store import files
from jobqueue.testing import FakeClock, drain
from jobqueue.worker.scheduler import Scheduler

MONDAY = datetime(2026, 3, 30, 5, 0, tzinfo=timezone.utc)


@handler
def report(kind: str = "daily") -> str:
    return kind


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MONDAY)


@pytest.fixture(params=["folder", "memory"])
def clocked(request: Any, tmp_path: Path, clock: FakeClock) -> Iterator[Queue]:
    """A queue whose clock is turned by hand, in a folder and in memory."""
    place = tmp_path / "q" if request.param == "folder" else ":memory:"
    with Queue(place, clock=clock, config=Config(durability="relaxed")) as made:
        yield made


def records(queue: Queue) -> list[Job]:
    return [job.record for job in queue.jobs(limit=None, order="oldest")]


def test_a_job_is_added_when_its_time_has_come(clocked: Queue, clock: FakeClock) -> None:
    made = clocked.schedule("report", {"kind": "x"}, cron="0 6 * * mon-fri", priority="high", tags=["a"])

    assert drain(clocked, [report]).done == []
    clock.advance("1h")
    (job,) = drain(clocked, [report]).done

    assert job.result() == "x"
    assert (job.record.priority, job.record.run_id) == (5, "2026-03-30T06:00:00.000000Z")
    assert job.record.tags == ("a", "schedule:report")
    assert (made.last_run, made.last_job) == (MONDAY + timedelta(hours=1), job.id)
    assert made.next_run == MONDAY + timedelta(hours=25)
    assert drain(clocked, [report]).done == []
    assert repr(made) == "<Schedule report: report at 06:00 on Monday through Friday (UTC), next in 1 d>"


def test_what_was_missed_is_made_up_once_and_late(clocked: Queue, clock: FakeClock) -> None:
    clocked.schedule("report", cron="0 6 * * *")
    clock.advance("3d")

    (job,) = drain(clocked, [report]).done

    assert job.record.run_id == "2026-04-01T06:00:00.000000Z"
    assert job.record.tags == ("schedule:report", "late")
    assert drain(clocked, [report]).done == []


def test_or_it_is_skipped_and_the_schedule_says_so(clocked: Queue, clock: FakeClock) -> None:
    made = clocked.schedule("report", cron="0 6 * * *", missed="skip")
    clock.advance("3d")

    assert drain(clocked, [report]).done == []

    assert made.note == "the run of 2026-04-01 06:00:00 UTC was skipped: 23 h late"
    clock.advance("1h")
    assert len(drain(clocked, [report]).done) == 1
    assert made.note == ""


def test_a_paused_queue_adds_nothing_and_makes_up_one_run(clocked: Queue, clock: FakeClock) -> None:
    clocked.schedule("report", every="1h")
    clocked.pause("maintenance")
    clock.advance("5h")
    drain(clocked, [report])
    assert records(clocked) == []

    clocked.resume()

    assert len(drain(clocked, [report]).done) == 1


def test_a_run_waits_for_the_end_of_the_one_before(clocked: Queue, clock: FakeClock) -> None:
    made = clocked.schedule("report", every="1h")
    scheduler = Scheduler(clocked)
    clock.advance("1h")
    scheduler.turn()
    clock.advance("3h")
    scheduler.turn()

    assert len(records(clocked)) == 1
    assert made.note.endswith(f"waits until {made.last_job} has finished")
    drain(clocked, [report])
    scheduler.turn()

    assert [job.run_id for job in records(clocked)] == ["2026-03-30T06:00:00.000000Z", "2026-03-30T09:00:00.000000Z"]


def test_a_clock_that_is_set_back_adds_nothing_twice(clocked: Queue, clock: FakeClock) -> None:
    clocked.schedule("report", cron="*/10 * * * *")
    scheduler = Scheduler(clocked)
    clock.advance("1h")
    scheduler.turn()

    clock.time -= timedelta(minutes=45)
    for _ in range(4):
        Scheduler(clocked).turn()
        scheduler.turn()
        clock.advance("10m")

    assert [job.run_id for job in records(clocked)] == ["2026-03-30T06:00:00.000000Z"]


def test_pause_resume_run_and_remove(clocked: Queue, clock: FakeClock) -> None:
    clocked.schedule(report_type(), every="1h", name="often")
    made = clocked.schedules()["often"]
    made.pause("no data")
    clock.advance("2h")
    assert drain(clocked, [report]).done == []
    assert (made.paused, made.next_run) == (True, None)

    assert made.run().type == "report"  # by hand, paused or not
    assert len(drain(clocked, [report]).done) == 1
    made.resume()
    assert len(drain(clocked, [report]).done) == 1

    clocked.unschedule("often")
    clock.advance("2h")
    assert drain(clocked, [report]).done == []
    with pytest.raises(ScheduleNotFound, match="no schedule 'often' in this queue; there are none"):
        clocked.unschedule("often")
    assert repr(made) == "<Schedule often: removed>"


def report_type() -> str:
    return "report"


def test_the_same_name_replaces_and_says_so(clocked: Queue, clock: FakeClock) -> None:
    first = clocked.schedule("report", every="1h")
    clock.advance("50m")
    again = clocked.schedule("report", every="1h")
    other = clocked.schedule("report", {"kind": "x"}, every="1h")
    named = clocked.schedule("report", every="2h", name="seldom")

    assert [made.outcome for made in (first, again, other, named)] == ["created", "unchanged", "replaced", "created"]
    assert first.next_run == MONDAY + timedelta(hours=1)  # a program that makes it at each start does not put it off
    assert [made.name for made in clocked.schedules()] == ["report", "seldom"]


def test_a_handler_is_checked_against_its_signature() -> None:
    with Queue(":memory:") as queue:
        queue.schedule(report, {"kind": "x"}, every="1h")
        with pytest.raises(InvalidJob, match="no argument 'kid'"):
            queue.schedule(report, {"kid": "x"}, every="1h")


# Files


def test_a_broken_file_is_reported_once_and_stops_nothing(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with Queue(tmp_path / "q", clock=clock, config=Config(durability="relaxed")) as queue:
        queue.schedule("report", every="1h")
        folder = tmp_path / "q" / ".jobqueue" / "schedules"
        good = json.loads((folder / "report.json").read_text())
        (folder / "torn.json").write_text('{"name": "torn"')
        (folder / "other.json").write_text(json.dumps(good | {"name": "else"}))
        (folder / "deep.json").write_text("[" * 100_000)
        (folder / "zone.json").write_text(
            json.dumps(good | {"name": "zone", "every": None, "cron": "@daily", "timezone": "../x"})
        )
        (folder / "folder.json").mkdir()
        (folder / "link.json").symlink_to("/etc/passwd")
        os.mkfifo(folder / "fifo.json")
        (folder / "note.txt").write_text("mine")
        clock.advance("1h")

        scheduler = Scheduler(queue)
        for _ in range(3):
            scheduler.turn()

        assert len(records(queue)) == 1
        assert sorted(queue.store.schedules.problems) == [
            f"{name}.json" for name in ("deep", "fifo", "folder", "link", "other", "torn", "zone")
        ]
        said = [record.getMessage() for record in caplog.records if "is no schedule" in record.getMessage()]
        assert len(said) == len(set(said)) == 7


# jobqueue.yaml


def with_settings(tmp_path: Path, text: str, clock: FakeClock) -> Queue:
    (tmp_path / "jobqueue.yaml").write_text("durability: relaxed\n" + text)
    return Queue(tmp_path / "q", clock=clock, config=load_config(tmp_path, {}))


def test_workers_follow_the_settings_and_leave_the_rest_alone(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    settings = "schedules:\n  nightly: {type: report, every: 1h, payload: {kind: x}}\n  mine: {type: report, every: 1h}\n"
    with with_settings(tmp_path, settings, clock) as queue:
        queue.schedule("report", every="5h", name="mine")
        queue.schedule("report", every="5h", name="too")
        Scheduler(queue).turn()
        assert [(made.name, made.every) for made in queue.schedules()] == [("mine", 18000), ("nightly", 3600), ("too", 18000)]
        assert "the schedule mine was not made by jobqueue.yaml" in caplog.text
        nightly = queue.schedules()["nightly"]
        assert nightly.record.source == str(tmp_path / "jobqueue.yaml")
        clock.advance("30m")
        Scheduler(queue).turn()
        assert nightly.next_run == MONDAY + timedelta(hours=1)  # a worker that starts does not put it off

    with with_settings(tmp_path, "", clock) as queue:
        Scheduler(queue).turn()
        assert [made.name for made in queue.schedules()] == ["mine", "too"]
    with Queue(tmp_path / "q", clock=clock, config=Config()) as queue:  # a worker without any settings removes nothing
        Scheduler(queue).turn()
        assert [made.name for made in queue.schedules()] == ["mine", "too"]


# Two workers, and workers that die


def in_child(work: Callable[[], object], die_at: int | None) -> int:
    """Runs `work` in a forked child, which ends at once at that step on the disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code, left = 1, [die_at]
    try:
        signal.alarm(60)

        def probe(name: str) -> None:
            if left[0] == 0:
                os._exit(9)
            left[0] = None if left[0] is None else left[0] - 1

        files.probe = probe
        work()
        code = 0
    finally:
        os._exit(code)


@pytest.mark.parametrize("durability", ["strict", "relaxed"])
def test_a_worker_that_dies_at_any_step_is_repeated_without_a_second_job(tmp_path: Path, durability: str) -> None:
    codes: list[int] = []
    while 0 not in codes:
        folder, config = tmp_path / str(len(codes)), Config(durability=durability)
        start = FakeClock(MONDAY)
        with Queue(folder, clock=start, config=config) as queue:
            queue.schedule("report", every="1h")

        def worker(folder: Path = folder, config: Config = config) -> None:
            with Queue(folder, clock=FakeClock(MONDAY + timedelta(hours=1)), config=config) as queue:
                Scheduler(queue).turn()

        codes.append(in_child(worker, die_at=len(codes)))
        with Queue(folder, clock=FakeClock(MONDAY + timedelta(hours=1, seconds=5)), config=config) as queue:
            Scheduler(queue).turn()
            (job,) = records(queue)
            made = queue.schedules()["report"]
            assert (made.last_job, made.last_run) == (job.id, MONDAY + timedelta(hours=1)), f"died at step {len(codes) - 1}"
    assert len(codes) > 10
    assert set(codes) == {0, 9}


def test_each_due_time_runs_once_though_two_workers_race(workers: Any, queue: Queue, log: Path, wait_until: Any) -> None:
    queue.schedule("quick", {"log": str(log)}, every="1s", overlap="allow")
    pair = [workers.start("--executor", "thread") for _ in range(2)]

    wait_until(lambda: queue.stats().done >= 4, 60)
    queue.unschedule("quick")
    for worker in pair:
        workers.stop(worker)

    due = [job.record.run_id for job in queue.jobs(limit=None)]
    assert len(due) == len(set(due)) >= 4
    late = [
        (job.record.created_at - datetime.fromisoformat(str(job.record.run_id))).total_seconds() for job in queue.jobs("done")
    ]
    assert min(late) >= 0


def test_when_one_worker_is_killed_the_other_goes_on(workers: Any, queue: Queue, log: Path, wait_until: Any) -> None:
    queue.schedule("quick", {"log": str(log)}, every="1s", overlap="allow")
    first, second = (workers.start("--executor", "thread") for _ in range(2))
    wait_until(lambda: queue.stats().done >= 1, 60)

    first.kill()
    seen = queue.stats().done
    wait_until(lambda: queue.stats().done >= seen + 2, 60)
    queue.unschedule("quick")
    workers.stop(second)

    due = [job.record.run_id for job in queue.jobs(limit=None)]
    assert len(due) == len(set(due))


def test_a_queue_without_schedules_pays_one_look(tmp_path: Path) -> None:
    with Queue(tmp_path / "q", config=Config(durability="relaxed")) as queue:
        store: Any = queue.store.schedules
        listed: list[int] = []
        names = store.names
        store.names = lambda: listed.append(1) or names()
        time.sleep(0.06)  # until the folder's mtime can be told from a change to come
        for _ in range(5):
            assert store.all() == ()
        assert len(listed) == 1

"""Limits on disk: who holds a place, what a crash leaves behind, and what waiting costs."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from jobqueue.model.control import Control
from jobqueue.model.job import Job
from jobqueue.model.limit import Budget, Limit, parse_rate
from jobqueue.model.names import make_id
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, cancel, complete
from jobqueue.store import files
from jobqueue.store.base import Claim, WorkerInfo
from jobqueue.store.keys import key_file_name
from jobqueue.store.spool import Spool
from jobqueue.testing import FakeClock


def job(type: str = "scan", **fields: Any) -> Job:
    moment = datetime.now(timezone.utc)
    id = make_id(fields.get("priority", 10), moment, False, os.urandom(4).hex())
    return Job(id=id, type=type, created_at=moment, **fields)


def add(bench: Any, type: str = "scan", **fields: Any) -> str:
    [put] = bench.spool.put([job(type, **fields)])
    assert put.outcome == "created"
    return str(put.located.job.id)


def ids(claims: list[Claim]) -> list[str]:
    return [claim.job.id for claim in claims]


def limit(spool: Spool, name: str, **says: Any) -> None:
    said = Limit(rate=parse_rate(says["rate"]) if "rate" in says else None, concurrency=says.get("concurrency"))
    spool.change_control(lambda control: replace(control, limits={**control.limits, name: said}))


def state_file(spool: Spool, name: str) -> Path:
    return spool.path / ".jobqueue" / "limits" / key_file_name(name)


def hold_in_child(path: Path, tell: Callable[[list[str]], None]) -> int:
    """A process that claims one job and holds it for ever; its pid."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)
            spool = Spool(path, durability="relaxed")
            owner = spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=datetime.now(timezone.utc)))
            os.write(writer, (" ".join(ids(spool.claim(owner))) + "\n").encode())
            while True:
                time.sleep(1)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as stream:
        tell(stream.readline().split())
    return child


@pytest.fixture
def holder(bench: Any) -> Iterator[tuple[int, str]]:
    """The process that holds the key `x`, and its job."""
    id, held = add(bench, concurrency_key="x"), []
    child = hold_in_child(bench.path, held.extend)
    assert held == [id]
    yield child, id
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


# -- who holds a place


def test_a_killed_holder_frees_its_key(bench: Any, holder: Any, wait_until: Any) -> None:
    second = add(bench, concurrency_key="x")
    assert bench.claim() == []

    os.kill(holder[0], signal.SIGKILL)

    [claim] = wait_until(bench.claim)  # without a rescue: nobody has to clear anything away
    assert claim.job.id == second
    assert bench.claim() == []


def test_a_stopped_holder_keeps_its_key(bench: Any, holder: Any) -> None:
    child, id = holder
    second = add(bench, concurrency_key="x")
    os.kill(child, signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)

    bench.spool.rescue()
    bench.spool.claiming.lines.open_all()

    assert bench.claim() == []
    assert bench.spool.judge(bench.spool.get(second)).why == f"its concurrency key is held by {id}"
    os.kill(child, signal.SIGCONT)


def test_a_running_job_that_is_moved_away_by_hand_frees_its_place(bench: Any, tmp_path: Path, wait_until: Any) -> None:
    first, second = add(bench, concurrency_key="x"), add(bench, concurrency_key="x")
    assert ids(bench.claim()) == [first]
    [file] = bench.path.glob(f"claimed/*/{first}.json")

    file.rename(tmp_path / "away.json")

    assert ids(wait_until(bench.claim)) == [second]


def test_a_limit_counts_what_runs_already_when_it_is_set(bench: Any) -> None:
    for _ in range(4):
        add(bench)
    assert len(bench.claim(2)) == 2

    limit(bench.spool, "type:scan", concurrency=3)

    assert len(bench.claim()) == 1


def test_an_unreadable_count_is_counted_anew_with_the_rate_used_up(bench: Any) -> None:
    limit(bench.spool, "type:scan", concurrency=2)
    limit(bench.spool, "queue", rate="50/h")
    for _ in range(4):
        add(bench)
    assert len(bench.claim(1)) == 1

    state_file(bench.spool, "type:scan").write_bytes(b"\0\0\0")

    assert len(bench.claim()) == 1  # beside the one that runs
    state_file(bench.spool, "queue").write_bytes(b'{"name": "queue", "sta')
    bench.spool.change_control(lambda control: replace(control, limits={"queue": control.limits["queue"]}))
    assert bench.claim() == []


def test_somebody_who_is_stopped_inside_a_lock_stops_only_the_jobs_under_that_limit(bench: Any, wait_until: Any) -> None:
    limit(bench.spool, "type:scan", concurrency=9)
    scan, mail = add(bench), add(bench, "mail")
    path = state_file(bench.spool, "type:scan")
    with open(path, "w") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert ids(bench.claim()) == [mail]
        assert bench.claim() == []
    assert ids(wait_until(bench.claim)) == [scan]


def test_a_clock_that_is_put_back_blocks_for_no_longer_than_one_window(make_bench: Any) -> None:
    clock = FakeClock()
    bench = make_bench(clock=clock)
    limit(bench.spool, "type:scan", rate="1/m")
    for _ in range(2):
        add(bench)
    assert len(bench.claim()) == 1

    clock.time -= timedelta(hours=5)
    bench.spool.claiming.lines.open_all()
    assert bench.claim() == []
    clock.advance("61s")

    assert len(bench.claim()) == 1


def test_a_start_that_did_not_happen_does_not_count(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(bench.spool, "type:scan", rate="1/h")
    gone, next_one = add(bench), add(bench)
    original = files.move

    def move(source: int, name: str, target: int, new_name: str) -> None:
        if name == gone + ".json":  # somebody else was faster
            raise FileNotFoundError(name)
        original(source, name, target, new_name)

    monkeypatch.setattr(files, "move", move)
    assert ids(bench.claim()) == [next_one]


def test_the_time_at_which_a_rate_opens_is_known(make_bench: Any) -> None:
    bench = make_bench()
    limit(bench.spool, "type:scan", rate="1/h")
    for _ in range(2):
        add(bench)
    bench.claim()

    assert 3000 < bench.spool.due_in() <= 3600


def test_places_are_swept_only_when_nobody_holds_them(bench: Any) -> None:
    add(bench, concurrency_key="x")
    [claim] = bench.claim()
    key = state_file(bench.spool, "key:x")

    bench.spool.sweep()
    assert key.exists()
    bench.finish(claim)
    bench.spool.sweep()

    assert list(key.parent.iterdir()) == []


# -- waiting in line


def test_thousands_in_one_line_cost_one_try(bench: Any, looks: list[str]) -> None:
    bench.spool.put([job("slow", concurrency_key="x") for _ in range(500)])
    [claim] = bench.claim(1)
    other = add(bench, "mail")
    assert ids(bench.claim()) == [other]  # each of the line was read once for that
    looks.clear()

    bench.finish(claim)
    [second] = bench.claim()

    assert looks == [second.job.id + ".json", *looks[1:]]
    assert len(looks) == 2  # the next of the line found the key taken
    assert bench.claim() == []
    assert len(looks) == 2


def test_the_line_keeps_the_order_of_the_queue(bench: Any) -> None:
    normal = [add(bench, concurrency_key="x") for _ in range(3)]
    [claim] = bench.claim()
    urgent = add(bench, concurrency_key="x", priority=0)
    assert bench.claim() == []

    ran = []
    for _ in range(3):
        bench.finish(claim)
        [claim] = bench.claim()
        ran.append(claim.job.id)

    assert ran == [urgent, *normal[1:]]


def test_the_end_of_a_job_wakes_those_who_wait_in_another_process(make_bench: Any, wait_until: Any) -> None:
    here, there = make_bench(), make_bench()
    add(here, concurrency_key="x")
    [claim] = here.claim()
    second = add(here, concurrency_key="x")
    assert there.claim() == []
    there.spool.claiming.lines.close("key:x", 3600)  # no look by itself: only the news can open it
    got: list[str] = []

    def wait() -> None:
        while not got:
            there.spool.wait(30)
            got.extend(ids(there.claim()))

    waiting = threading.Thread(target=wait)
    waiting.start()
    here.finish(claim)
    waiting.join(20)

    assert got == [second]


def test_a_line_does_not_break_when_its_first_is_cancelled(bench: Any) -> None:
    waiting = [add(bench, concurrency_key="x") for _ in range(4)]
    [claim] = bench.claim()
    assert bench.claim() == []
    bench.spool.cancel(waiting[1:3])

    bench.finish(claim)

    assert ids(bench.claim()) == waiting[3:]


# -- dropped files


def test_a_dropped_job_that_minds_is_refused_and_told_who_runs(bench: Any, wait_until: Any) -> None:
    running = add(bench, concurrency_key="x")
    bench.claim()
    bench.drop("mine.json", '{"type": "scan", "concurrencyKey": "x", "onConflict": "reject"}')

    wait_until(lambda: bench.spool.get("mine").status is Status.FAILED, step=bench.claim)

    error = bench.spool.get("mine").job.error
    assert (error.reason, error.message) == ("conflict", f"Another process is running: {running} holds its concurrency key")


def test_a_dropped_job_that_supersedes_asks_the_holder_to_stop_and_waits(bench: Any, wait_until: Any) -> None:
    running = add(bench, concurrency_key="x")
    [claim] = bench.claim()
    bench.drop("mine.json", '{"type": "scan", "concurrency_key": "x", "on_conflict": "supersede"}')

    wait_until(lambda: bench.spool.get(running).cancelling, step=bench.claim)
    assert bench.spool.get("mine").status is Status.PENDING
    bench.finish(claim)

    assert ids(wait_until(bench.claim)) == ["mine"]


# -- making jobs


def test_two_callers_at_the_same_moment_make_one_job(make_bench: Any) -> None:
    benches = [make_bench() for _ in range(4)]
    answers: list[str] = []
    start = threading.Barrier(len(benches))

    def make(bench: Any) -> None:
        start.wait()
        answers.extend(put.outcome for put in bench.spool.put([job(concurrency_key="x", on_conflict="reject")]))

    threads = [threading.Thread(target=make, args=(bench,)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == ["created", "rejected", "rejected", "rejected"]


def test_a_running_job_that_was_superseded_says_by_which(bench: Any) -> None:
    running = add(bench, concurrency_key="x")
    [claim] = bench.claim()
    [put] = bench.spool.put([job(concurrency_key="x", on_conflict="supersede")])
    assert (put.superseded, bench.spool.get(running).cancelling) == (1, True)
    moment = datetime.now(timezone.utc)

    bench.spool.apply([(claim, cancel(claim.job, moment, "cancelled while it ran", Run(bench.owner, moment, moment)))])

    assert bench.spool.get(running).job.error.message == f"superseded by {put.located.job.id}"


def test_the_list_of_a_key_is_kept_short(bench: Any) -> None:
    """It is tidied each time it has grown by so much, whatever has run through it."""
    conflicts = bench.spool.bounds.conflicts
    with conflicts.files.locked(["x"]) as opened:
        for number in range(3000):
            conflicts.note(opened["x"], [f"10-20261122T061500{number:06}-00000000"])
        size = os.fstat(opened["x"]).st_size

    assert size < 70_000


# -- crashes


def test_a_crash_at_any_step_leaves_no_place_taken(make_bench: Any, forked: Any, probed: list[str], tmp_path: Path) -> None:
    def claim_and_finish(path: Path) -> None:
        spool = Spool(path, durability="relaxed")
        owner = spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=datetime.now(timezone.utc)))
        spool.put([job(concurrency_key="x", on_conflict="supersede")])
        [claim] = spool.claim(owner)
        now = datetime.now(timezone.utc)
        spool.apply([(claim, complete(claim.job, None, Run(owner, claim.claimed_at, now)))])
        spool.leave(owner)
        spool.close()

    probed.clear()
    claim_and_finish(tmp_path / "whole")
    assert {"limit", "conflict"} <= set(probed)
    steps = len(probed)
    for step in range(steps):
        path = tmp_path / f"crash-{step}"
        Spool(path, durability="relaxed").close()
        assert forked(lambda path=path: claim_and_finish(path), crash_at=step) in (0, 9)
        bench = make_bench(path)
        bench.spool.rescue()
        last = add(bench, concurrency_key="x")
        ran: list[str] = []
        deadline = time.monotonic() + 20
        while last not in ran:
            ran += bench.work()
            assert time.monotonic() < deadline, (step, probed[step])
        bench.close()


def test_a_disk_that_refuses_the_note_of_a_start_lets_nothing_start(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add(bench, concurrency_key="x")
    mail = add(bench, "mail")

    def full(step: str) -> None:
        if step == "limit":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "probe", full)
    assert ids(bench.claim()) == [mail]
    monkeypatch.setattr(files, "probe", None)
    bench.spool.claiming.lines.open_all()

    assert len(bench.claim()) == 1


# -- budgets


def test_a_lost_count_of_a_budget_is_made_again_from_the_journal(bench: Any) -> None:
    budgets = {"scan": (Budget("tokens", 100, "month"),)}
    bench.spool.set_control(Control(budgets=budgets))
    add(bench)
    [claim] = bench.claim()
    ended = complete(claim.job, None, Run(bench.owner, claim.claimed_at, datetime.now(timezone.utc)))
    bench.spool.apply([(claim, replace(ended, attempt=replace(ended.attempt, metrics={"tokens": 70})))])
    [file] = (bench.path / ".jobqueue" / "limits").glob("*.spent")
    said = file.read_bytes()
    assert b"70" in said

    for broken in (None, b"", b"{"):
        file.unlink() if broken is None else file.write_bytes(broken)
        assert [spent.spent for spent in bench.spool.spent()] == [70]


def test_a_budget_whose_file_is_locked_is_counted_the_next_time(bench: Any) -> None:
    bench.spool.set_control(Control(budgets={"scan": (Budget("tokens", 100, "month"),)}))
    bench.spool.control()
    budgeting, said = bench.spool.bounds.budgeting, bench.spool.control().budgets
    budgeting.count(said, [("scan", {"tokens": 1.0})])  # makes the file, from a journal in which nothing stands
    name = budgeting.files.file_name("scan tokens")
    with open(bench.path / ".jobqueue" / "limits" / name, "a") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        budgeting.count(said, [("scan", {"tokens": 30.0})])
        assert budgeting.owed == {("scan", "tokens"): 30.0}
    budgeting.count(said, [])

    assert budgeting.owed == {}
    assert [spent.spent for spent in bench.spool.spent()] == [30]

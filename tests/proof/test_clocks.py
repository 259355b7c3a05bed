"""Clocks that jump by hours, forwards and back, under real workers: nothing is lost, doubled or held for ever.

libfaketime turns the wall clock of a process while it runs. The kernel goes on to stamp files by its own, so that files
look hours older, or younger, than they are: worse than a jump of the one clock of a machine.
"""

from __future__ import annotations

import glob
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.errors import QueueFolderError
from jobqueue.model.control import Control, Pause
from jobqueue.model.limit import Limit, parse_rate
from jobqueue.queue.config import Config
from jobqueue.store import files, sweep
from jobqueue.store.spool import Spool
from jobqueue.testing import FakeClock

from .crash_scenes import done, info, job

HANDLERS = """
import os
from jobqueue import JobContext, constant, handler

@handler(retry=constant("20ms", attempts=9))
def work(log, n, ctx: JobContext):
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{ctx.id} {ctx.attempt}\\n".encode())
    os.close(file)
    if n % 10 == 3 and ctx.attempt == 1:
        raise ValueError(n)
    return n
"""
JUMPS = ("+5h", "-5h", "+0", "-23h", "+23h", "-1s", "+3h")


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


class Turned:
    """Worker processes whose wall clock is turned by writing into a file."""

    def __init__(self, folder: Path, library: str) -> None:
        self.folder, self.clock = folder, folder / "clock"
        self.turn("+0")
        (folder / "handlers.py").write_text(HANDLERS)
        self.surroundings = os.environ | {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def turn(self, by: str) -> None:
        new = self.folder / "clock.new"
        new.write_text(by)
        new.rename(self.clock)

    def start(self, *options: str) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "jobqueue.worker", "--queue", "q", "--handlers", "handlers.py"]
        with (self.folder / "output").open("ab") as output:
            self.started.append(
                subprocess.Popen(
                    [*command, *options], cwd=self.folder, env=self.surroundings, stdout=output, stderr=subprocess.STDOUT
                )
            )

    def close(self) -> list[int]:
        for one in self.started:
            one.send_signal(signal.SIGTERM)
        return [one.wait(30) for one in self.started]


@pytest.fixture
def turned(tmp_path: Path) -> Iterator[Turned]:
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        pytest.skip("needs libfaketime (Debian: libfaketime)")
    made = Turned(tmp_path, found[0])
    yield made
    made.close()


def test_real_workers_whose_clock_jumps_run_each_job_to_its_end_once(turned: Turned, tmp_path: Path) -> None:
    seed = int(os.environ.get("CLOCK_SEED", random.SystemRandom().randrange(10**6)))
    print(f"CLOCK_SEED={seed}")
    chosen = random.Random(seed)
    log = tmp_path / "log"
    with Queue(tmp_path / "q", config=Config(durability="relaxed", settle_time=0.1)) as queue:
        for executor in ("inline", "process"):
            turned.start("--executor", executor)
        ids: list[str] = []
        for jump in chosen.sample(JUMPS, len(JUMPS)):
            turned.turn(jump)
            jobs = queue.enqueue_many("work", [{"log": str(log), "n": n} for n in range(20)])
            jobs += [queue.with_options(concurrency_key="k", idempotency_key=jump).enqueue("work", {"log": str(log), "n": 0})]
            ids += [job.id for job in jobs]
            ended = [job for job in jobs if job.payload["n"] % 10 != 3]  # what is tried again waits by the clock of its worker
            until(lambda ended=ended: all(job.status == "done" for job in ended))
        turned.turn("+48h")
        until(lambda: queue.stats().done == len(ids))
        assert turned.close() == [0, 0]
        runs = Counter(tuple(line.split()) for line in log.read_text().splitlines())
        assert set(runs.values()) == {1}, "an attempt ran twice"
        assert spread(queue) > 40, "the clock was not turned at all"
        assert {id for id, _ in runs} == set(ids)
        assert {id for id, attempt in runs if attempt == "2"} == {id for id in ids if queue.get(id).payload["n"] % 10 == 3}
        assert not [line for line in (tmp_path / "output").read_text().splitlines() if " ERROR " in line]


def spread(queue: Queue) -> float:
    """How many hours lie between the first end of an attempt and the last, by the clocks of those who ran them."""
    ends = [attempt.finished_at for attempt in queue.store.attempts() if attempt.finished_at is not None]
    return (max(ends) - min(ends)).total_seconds() / 3600


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path / "q", clock=FakeClock(datetime.now(timezone.utc)), durability="relaxed")) as made:
        yield made


def claimed(spool: Spool, owner: str) -> list[str]:
    """What can be claimed, and is completed at once."""
    spool.wake()
    claims = spool.claim(owner, limit=20)
    assert all(spool.apply([(claim, done(claim)) for claim in claims]))
    return [claim.job.id for claim in claims]


@pytest.mark.parametrize("hours", [-30, -5, 5, 30])
def test_a_delayed_job_waits_for_its_time_and_no_longer(hours: int, spool: Spool) -> None:
    owner, clock = spool.join(info()), spool.clock
    assert isinstance(clock, FakeClock)
    spool.put([job("late", run_after=clock.now() + timedelta(hours=10)), job("now")])
    due = clock.now() + timedelta(hours=10)
    assert claimed(spool, owner) == ["now"]
    clock.time += timedelta(hours=hours)
    assert claimed(spool, owner) == (["late"] if clock.now() >= due else [])
    if clock.now() < due:
        assert spool.due_in() == pytest.approx((due - clock.now()).total_seconds())
    clock.time = due
    assert claimed(spool, owner) == ([] if hours > 10 else ["late"])


def test_a_pause_with_an_end_that_is_jumped_over_holds_again_when_the_clock_is_put_back(spool: Spool) -> None:
    owner, clock = spool.join(info()), spool.clock
    assert isinstance(clock, FakeClock)
    start = clock.now()
    spool.change_control(lambda _: Control(paused=Pause(by="ann", at=start, until=start + timedelta(hours=2))))
    spool.put([job("a")])
    assert claimed(spool, owner) == []
    clock.time = start + timedelta(hours=5)
    assert claimed(spool, owner) == ["a"]
    clock.time = start + timedelta(hours=1)
    spool.put([job("b")])
    assert claimed(spool, owner) == []
    clock.time = start + timedelta(hours=2)
    assert claimed(spool, owner) == ["b"]


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_rate_is_kept_and_holds_for_no_longer_than_its_window(hours: int, spool: Spool) -> None:
    clock = spool.clock
    assert isinstance(clock, FakeClock)
    owner = spool.join(info(limits={"type:scan": Limit(rate=parse_rate("2/m"))}))
    spool.put([job(f"j{n}") for n in range(6)])
    assert claimed(spool, owner) == ["j0", "j1"]
    clock.time += timedelta(hours=hours)
    spool.claiming.lines.open_all()
    first = claimed(spool, owner)
    assert len(first) <= 2
    for _ in range(3):
        clock.time += timedelta(seconds=61)
        spool.claiming.lines.open_all()
        first += claimed(spool, owner)
    assert first == [f"j{n}" for n in range(2, 6)]


def test_names_go_on_in_order_when_the_clock_is_put_back(tmp_path: Path) -> None:
    """By a little, that is; by hours the new ones come first, and none is hidden."""
    clock = FakeClock(datetime.now(timezone.utc))
    with Queue(tmp_path / "q", clock=clock, durability="relaxed") as queue:
        ids = [queue.enqueue("scan").id]
        clock.time -= timedelta(milliseconds=500)
        ids.append(queue.enqueue("scan").id)
        clock.time -= timedelta(hours=5)
        early = queue.enqueue("scan").id
        assert ids == sorted(ids)
        owner = queue.store.join(info())
        assert [claim.job.id for claim in queue.store.claim(owner, limit=5)] == [early, *ids]


def test_a_sweep_by_a_clock_that_is_hours_ahead_takes_no_live_temporary_file(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a job is being written, somebody sweeps whose clock went ahead by 23 hours; or by two days: that is told."""
    real = time.time

    def sweep_ahead(hours: int) -> None:
        def probe(name: str) -> None:
            if name == "move":
                monkeypatch.setattr(files, "probe", None)
                monkeypatch.setattr(sweep.time, "time", lambda: real() + hours * 3600)
                spool.sweep()
                monkeypatch.setattr(sweep.time, "time", real)

        monkeypatch.setattr(files, "probe", probe)

    sweep_ahead(hours=23)
    spool.put([job("stored")])
    sweep_ahead(hours=48)
    with pytest.raises(QueueFolderError, match="nothing was enqueued"):
        spool.put([job("refused")])
    assert [located.job.id for located in spool.scan().items] == ["stored"]


def test_an_outcome_whose_temporary_file_was_swept_is_written_again(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = spool.join(info())
    spool.put([job("a")])
    (claim,) = spool.claim(owner)

    def probe(name: str) -> None:
        if name == "swap":
            files.probe = None
            for file in (spool.path / ".jobqueue" / "tmp").iterdir():
                file.unlink()

    monkeypatch.setattr(files, "probe", probe)
    with pytest.raises(FileNotFoundError):
        spool.apply([(claim, done(claim))])
    assert spool.apply([(claim, done(claim))]) == [True]
    assert json.loads((spool.path / "done" / "a.json").read_text())["result"] == {"by": "a"}

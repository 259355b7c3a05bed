"""Thousands of files that are no jobs, with good ones among them: each comes to its end, and none is in another's way.

A failure names its seed: `HOSTILE_SEED=... pytest tests/proof/test_hostile_files.py` does the same again, and
`make hostile` drops many more.
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, handler
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete
from jobqueue.queue.config import Config
from jobqueue.store import claiming, strangers
from jobqueue.store.base import WorkerInfo
from jobqueue.store.check import check
from jobqueue.store.spool import Spool
from jobqueue.worker.worker import Worker

from .hostile_kinds import drops
from .hostile_world import World, check_log

SEED = int(os.environ.get("HOSTILE_SEED") or random.SystemRandom().randrange(1 << 32))
FILES = int(os.environ.get("HOSTILE_FILES") or 20_000)
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ +")


@handler
def scan(**payload: Any) -> None:
    """Any payload will do."""


@pytest.fixture(autouse=True)
def seed_is_told() -> None:
    print(f"HOSTILE_SEED={SEED}")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", config=Config(durability="relaxed", settle_time=0.3)) as made:
        yield made


@pytest.fixture
def world_of(tmp_path: Path) -> Iterator[Callable[[int], World]]:
    made: list[World] = []

    def make(count: int) -> World:
        made.append(World(tmp_path / "q", SEED, count))
        return made[-1]

    yield make
    for world in made:
        world.close()


class Heard:
    """What this process opens and lists, as the interpreter itself reports it: a hook that can never be taken out."""

    events: list[tuple[str, Any]] | None = None
    hooked = False
    deaf_to = 0
    """A thread whose doings do not count."""

    @classmethod
    def hear(cls, event: str, arguments: tuple[Any, ...]) -> None:
        counts = cls.events is not None and event in ("open", "os.listdir", "os.scandir")
        if counts and threading.get_ident() != cls.deaf_to:
            cls.events.append((event, arguments[0]))


@contextmanager
def hearing(*, deaf_to: int = 0) -> Iterator[list[tuple[str, Any]]]:
    if not Heard.hooked:
        sys.addaudithook(Heard.hear)
        Heard.hooked = True
    Heard.events, Heard.deaf_to = [], deaf_to
    events = Heard.events
    try:
        yield events
    finally:
        Heard.events = None


def swallow(queue: Queue, world: World, good: int) -> None:
    """Drops all while a worker runs, with good jobs among them that must all be done at the end."""
    ids: list[str] = []
    every = max(1, len(world.drops) // good)
    with Worker(queue, [scan]):
        for number, _ in enumerate(world.drop_all()):
            if number % every == 0:
                ids.append(queue.enqueue("scan", {"n": number}).id)
        world.until_at_rest(lambda: time.sleep(0.02))
        for id in ids:
            queue.get(id).wait("60s")
        queue.store.claiming.skipped_at -= 60  # what was left gets another look, and must not be told of again
        queue.enqueue("scan").wait("60s")
    assert all((world.path / "done" / f"{id}.json").exists() for id in ids)


def swallow_and_audit(queue: Queue, world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobqueue")
    closed = {drop.name for drop in world.drops if drop.closed}
    with hearing(deaf_to=threading.get_ident()) as events:
        swallow(queue, world, len(world.drops) // 8)
    opened = {os.path.basename(path) for event, path in events if event == "open" and isinstance(path, str)}
    assert len(opened) > len(world.drops) // 4
    assert sorted(opened & closed) == [], f"HOSTILE_SEED={SEED}: opened what must stay closed"
    ends = world.audit()
    check_log([record.getMessage() for record in caplog.records], world)
    print(*(f"{count:6} {row}: {end}" for (row, end), count in sorted(ends.items())), sep="\n")
    assert {row for row, _ in ends} == {drop.row for drop in world.drops}


def test_thousands_of_hostile_files_come_to_their_ends(
    queue: Queue, world_of: Callable[[int], World], caplog: pytest.LogCaptureFixture
) -> None:
    swallow_and_audit(queue, world_of(2500), caplog)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_tens_of_thousands_of_hostile_files_come_to_their_ends(
    queue: Queue, world_of: Callable[[int], World], caplog: pytest.LogCaptureFixture
) -> None:
    swallow_and_audit(queue, world_of(FILES), caplog)


def test_whoever_looks_at_a_queue_full_of_hostile_files_gets_an_answer(queue: Queue, world_of: Callable[[int], World]) -> None:
    world = world_of(400)
    list(world.drop_all())
    for when in ("before", "after"):
        counts = queue.store.counts()
        assert len(list(queue.store.digests(tuple(Status)))) <= sum(counts.values())
        for order in ("urgent", "newest", "oldest"):
            page = queue.store.scan(order=order, limit=None)
            assert len(page.items) >= counts[Status.PENDING] // 2
            assert [located.job.title for located in page.items]
        check(queue.store)
        if when == "before":
            with Worker(queue, [scan]):
                world.until_at_rest(lambda: time.sleep(0.02))
    world.audit()


# -- a worker process of its own


HANDLERS = """
from jobqueue import handler

@handler
def scan(**payload):
    pass
"""


def start_worker(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    (folder / "handlers.py").write_text(HANDLERS)
    command = [sys.executable, "-m", "jobqueue.worker", "--queue", "q", "--handlers", "handlers.py", *options]
    with (folder / "output").open("ab") as output:
        return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, env=os.environ | {"PYTHONUTF8": "1"})


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_worker_process_among_hostile_files(
    queue: Queue, world_of: Callable[[int], World], tmp_path: Path, executor: str
) -> None:
    world = world_of(400)
    worker = start_worker(tmp_path, "--executor", executor)
    try:
        ids = [queue.enqueue("scan", {"n": number}).id for number, _ in enumerate(world.drop_all())]
        world.until_at_rest(lambda: time.sleep(0.02))
        for id in ids:
            queue.get(id).wait("60s")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()
    world.audit()
    lines = (tmp_path / "output").read_text().split("\n")[:-1]
    assert all(LINE.match(line) for line in lines), [line for line in lines if not LINE.match(line)][:3]
    check_log([LINE.sub("", line) for line in lines], world)


# -- good jobs keep flowing: counted, not timed


class Counted:
    """A spool with one owner, and the names that claiming has looked at."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.path = path
        self.spool = Spool(path, **({"durability": "relaxed", "settle_time": 60} | options))
        started = datetime.now(timezone.utc)
        self.owner = self.spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=started))
        self.looks: list[str] = []
        original = claiming.look

        def look(folder: int, name: str, *rest: Any, **more: Any) -> Any:
            self.looks.append(name)
            return original(folder, name, *rest, **more)

        monkeypatch.setattr(claiming, "look", look)
        monkeypatch.setattr(strangers, "look", look)

    def work(self) -> list[str]:
        claims = self.spool.claim(self.owner, limit=1)
        now = datetime.now(timezone.utc)
        outcomes = [(claim, complete(claim.job, None, Run(self.owner, claim.claimed_at, now))) for claim in claims]
        self.spool.apply(outcomes)
        return [claim.job.id for claim in claims]

    def rest(self) -> None:
        """Works until the folder has been listed at a time that tells later changes from earlier ones."""
        deadline = time.monotonic() + 60
        self.spool.wait(0)
        while self.work() or self.spool.claiming.listed_mtime == -1:
            self.spool.wait(0.001)
            assert time.monotonic() < deadline


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Counted]]:
    made: list[Counted] = []

    def make(**options: Any) -> Counted:
        made.append(Counted(tmp_path / "q", monkeypatch, **options))
        return made[-1]

    yield make
    for one in made:
        one.spool.close()


GOOD = 300


def bad_ones(count: int) -> list[Any]:
    """Those that are set aside."""
    made = drops(random.Random(SEED), 3 * count)
    return [drop for drop in made if drop.fate == "aside" and drop.row != "the same name"][:count]


@pytest.mark.parametrize("ours", [True, False], ids=["enqueued", "dropped"])
def test_every_claim_gets_a_good_job_as_long_as_there_is_one(counted: Callable[..., Counted], queue: Queue, ours: bool) -> None:
    """However many others lie there: none of them is judged before, and each is looked at once."""
    bench = counted()
    for drop in bad_ones(1000):
        drop.place(bench.path)
    for number in range(GOOD):
        if ours:
            queue.enqueue("scan", {"n": number})
        else:
            (bench.path / "pending" / f"good-{number}.json").write_bytes(b'{"type": "scan"}')
    with hearing() as events:
        assert all(len(bench.work()) == 1 for _ in range(GOOD))
    assert bench.work() == []
    assert os.listdir(bench.path / "failed") == []
    good, others = GOOD * (1 if ours else 2), 1000
    assert len(bench.looks) <= good + others
    listings = [what for event, what in events if event == "os.listdir" and what == bench.spool.folder.pending]
    assert len(listings) <= 3


def test_ten_thousand_ignored_files_are_never_looked_at_and_wake_nobody(counted: Callable[..., Counted]) -> None:
    bench = counted()
    for number in range(10_000):
        (bench.path / "pending" / (f".{number}.json" if number % 2 else f"{number}.json~")).touch()
    bench.rest()
    with hearing() as events:
        for _ in range(50):
            assert bench.work() == []
            assert bench.spool.wait(0.001) is False
    assert bench.looks == []
    assert [event for event, _ in events if event != "open"] == []


def test_a_change_of_an_ignored_file_wakes_nobody(counted: Callable[..., Counted]) -> None:
    bench = counted()
    bench.spool.wait(0)  # the first wait starts the watch
    events = bench.spool.claiming.events
    for number in range(100):
        (bench.path / "pending" / f".{number}.json.swp").touch()
    (bench.path / "pending" / "last.json").touch()
    heard = events.get(timeout=30)
    while events.qsize():
        events.get()
    assert heard == "last.json"


def test_a_worker_is_idle_when_all_have_come_to_rest(counted: Callable[..., Counted], tmp_path: Path) -> None:
    """What may not be moved stays, and costs nothing: no look, no open, no listing."""
    bench = counted(settle_time=0.05)
    world = World(tmp_path / "q", SEED, 600)
    try:
        list(world.drop_all())
        world.until_at_rest(lambda: bench.work() or bench.spool.wait(0.02))
        assert [drop for drop in world.drops if drop.fate == "left"]
        while bench.spool.claiming.strangers.settling.since or bench.work():
            bench.work()
        bench.rest()
        bench.spool.claiming.skipped_at = time.monotonic()  # every half minute what was left gets another look
        bench.looks.clear()
        with hearing() as events:
            for _ in range(100):
                assert bench.work() == []
                bench.spool.wait(0.001)
    finally:
        world.close()
    assert bench.looks == []
    assert [what for event, what in events if event != "open" or str(what).endswith(".json")] == []

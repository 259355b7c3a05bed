"""Workers are killed again and again while jobs come in; then every job is accounted for."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.model.status import Status
from jobqueue.queue.config import Config

HANDLERS = """
import os, time
from jobqueue import JobContext, constant, handler

def note(path, *words):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)

@handler(retry=constant("1ms", attempts=1000))
def work(log, seconds, number, ctx: JobContext):
    note(log, "start", ctx.id, ctx.attempt, os.getpid())
    time.sleep(seconds)
    note(log, "end", ctx.id, ctx.attempt, os.getpid())
    return {"number": number}

@handler(retry=constant("1ms", attempts=2))
def fails(log, seconds, number, ctx: JobContext):
    note(log, "start", ctx.id, ctx.attempt, os.getpid())
    note(log, "end", ctx.id, ctx.attempt, os.getpid())
    raise ValueError(number)
"""


class Storm:
    """A queue, workers that are killed at random moments and replaced, and an audit at the end."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.queue_dir = folder / "q"
        self.log = folder / "log"
        (folder / "handlers.py").write_text(HANDLERS)
        self.random = random.Random(seed)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.all_workers: list[subprocess.Popen[bytes]] = []
        self.killed: set[int] = set()
        self.acknowledged: list[str] = []
        self.rerun: Counter[str] = Counter()
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self.kills = 0

    def open(self) -> Queue:
        return Queue(self.queue_dir, config=Config(durability="relaxed", settle_time=0.2))

    def start_worker(self) -> subprocess.Popen[bytes]:
        executor = self.random.choice(["inline", "thread", "process"])
        options = ["--executor", executor, "--concurrency", "1" if executor == "inline" else "3", "--grace", "5s"]
        with (self.folder / "output").open("ab") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "jobqueue.worker", "--queue", self.queue_dir, "--handlers", "handlers.py", *options],
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )
        self.workers.append(worker)
        self.all_workers.append(worker)
        return worker

    def strike(self) -> None:
        """One worker dies; another takes its place."""
        worker = self.workers.pop(self.random.randrange(len(self.workers)))
        worker.send_signal(self.random.choice([signal.SIGKILL] * 4 + [signal.SIGTERM]))
        worker.wait(30)
        self.kills += 1
        self.start_worker()

    def enqueue(self, queue: Queue, most: int) -> None:
        kind = self.random.randrange(5)
        number = len(self.acknowledged)
        payload = {"log": str(self.log), "seconds": self.random.choice([0, 0, 0.001, 0.02]), "number": number}
        if kind == 0:
            name = f"drop-{number}"
            temporary = self.folder / name
            temporary.write_text(json.dumps({"type": "work", "payload": payload, "priority": self.random.randrange(100)}))
            temporary.rename(self.queue_dir / "pending" / f"{name}.json")
            self.acknowledged.append(name)
        elif kind == 1:
            jobs = queue.enqueue_many("work", [payload | {"number": number + n} for n in range(most)])
            self.acknowledged += [job.id for job in jobs]
        elif kind == 2:
            first = queue.enqueue("work", payload, idempotency_key=f"key-{number}")
            again = queue.enqueue("work", payload, idempotency_key=f"key-{number}")
            assert first.id == again.id
            self.acknowledged.append(first.id)
        else:
            type = self.random.choice(["work", "work", "work", "fails"])
            self.acknowledged.append(queue.enqueue(type, payload, priority=self.random.randrange(100)).id)

    def guarded(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                while not self.stop.is_set():
                    work()
            except BaseException as error:
                self.errors.append(error)
                self.stop.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def settle(self, queue: Queue, seconds: float) -> None:
        """The storm is over: what is left runs to its end."""
        deadline = time.monotonic() + seconds
        while (stats := queue.stats()).pending or stats.claimed:
            assert time.monotonic() < deadline, f"{stats} after the storm; {(self.folder / 'output').read_text()[-3000:]}"
            queue.store.rescue()
            time.sleep(0.02)
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            assert worker.wait(30) == 0

    def places(self) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for status in Status:
            for folder, _, names in os.walk(self.queue_dir / status.value):
                for name in names:
                    if name.endswith(".json"):
                        found[name.removesuffix(".json")].append(os.path.relpath(folder, self.queue_dir))
        return found

    def runs(self) -> dict[str, list[tuple[str, int, int]]]:
        """Of each job: (start or end, attempt, pid), in the order in which they happened."""
        found: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for line in self.log.read_text().splitlines():
            what, id, attempt, pid = line.split()
            found[id].append((what, int(attempt), int(pid)))
        return found

    def close(self) -> None:
        self.stop.set()
        for worker in self.all_workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    seed = int(os.environ.get("STORM_SEED", random.SystemRandom().randrange(10**6)))
    print(f"STORM_SEED={seed}")
    made = Storm(tmp_path, seed)
    yield made
    made.close()


def audit(storm: Storm, queue: Queue, *, purged: frozenset[str] = frozenset()) -> None:
    """Every acknowledged job in exactly one folder and whole; none run again after it had ended well."""
    places = storm.places()
    assert len(set(storm.acknowledged)) == len(storm.acknowledged)
    lost = [id for id in storm.acknowledged if id not in places and id not in purged]
    assert not lost
    assert all(len(folders) == 1 for folders in places.values())
    assert set(places) <= set(storm.acknowledged)
    runs = storm.runs()
    for id, (folder,) in places.items():
        job = queue.get(id).located.job
        assert folder == ("failed" if job.error is not None else "done")
        assert job.type == "fails" or job.cancelled or job.result == {"number": job.payload["number"]}
        assert job.cancelled or runs[id], f"{id} is {folder} and never ran"
    doubles = [id for id in runs if not runs_once(runs[id], 1 + storm.rerun[id], places.get(id, ["?"])[0])]
    assert not doubles, {id: (runs[id], storm.rerun[id]) for id in doubles}
    assert os.listdir(storm.queue_dir / "claimed") == []
    assert os.listdir(storm.queue_dir / ".jobqueue" / "locks") in ([], ["maintenance"])
    assert os.listdir(storm.queue_dir / ".jobqueue" / "workers") == []


def runs_once(events: list[tuple[str, int, int]], rounds: int, folder: str) -> bool:
    """Whether no two executors ran it at once, and it ended well no oftener than it was asked to run.

    A run that has ended comes again only where its executor died before the outcome was recorded: the number of the
    attempt then goes up, so that a run which ended twice under one number is a double.
    """
    ended: Counter[int] = Counter(attempt for what, attempt, _ in events if what == "end")
    return all(count <= rounds for count in ended.values())


def executed_alone(storm: Storm) -> bool:
    """No handler starts while another executor, in a process that lived on, still runs the same job."""
    for events in storm.runs().values():
        running: set[int] = set()
        for what, _, pid in events:
            if what == "start":
                if any(other != pid and other in {worker.pid for worker in storm.workers} for other in running):
                    return False
                running.add(pid)
            else:
                running.discard(pid)
    return True


def test_nothing_is_lost_or_doubled_when_workers_are_killed(storm: Storm) -> None:
    with storm.open() as queue:
        for _ in range(2):
            storm.start_worker()
        deadline = time.monotonic() + 7
        while time.monotonic() < deadline and storm.kills < 14:
            for _ in range(storm.random.randrange(1, 8)):
                storm.enqueue(queue, most=8)
            if len(storm.acknowledged) > 20 and storm.random.random() < 0.2:
                storm.strike()
        storm.settle(queue, 60)
        assert storm.kills >= 3
        assert len(storm.acknowledged) > 100
        audit(storm, queue)
        assert executed_alone(storm)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_long_storm_with_people_in_it(storm: Storm) -> None:
    """Beside the killing: people who retry, cancel, purge and restore, and who move files by hand."""
    seconds = float(os.environ.get("STORM_SECONDS", "120"))
    queue = storm.open()
    others = [storm.open() for _ in range(4)]
    purged: set[str] = set()
    chosen = random.Random(storm.random.random())

    def some(count: int = 5) -> list[str]:
        known = list(storm.acknowledged)
        return [chosen.choice(known) for _ in range(count)] if known else []

    def produce() -> None:
        storm.enqueue(queue, most=20)
        time.sleep(0.01)

    def retry() -> None:
        for id in some():
            storm.rerun[id] += 1  # before it is asked for: the retry may run at once
            others[0].store.retry([id])
        time.sleep(0.05)

    def cancel() -> None:
        others[1].store.cancel(some())
        time.sleep(0.05)

    def purge_and_restore() -> None:
        ids = some()
        gone = [change.id for change in others[2].store.purge(ids) if change.outcome == "changed"]
        purged.update(gone)
        kept = [id for id in dict.fromkeys(gone) if chosen.random() < 0.7]
        for change in others[2].store.restore(kept):
            if change.outcome == "changed":
                purged.discard(change.id)
        time.sleep(0.05)

    def move_by_hand() -> None:
        for id in some(3):
            for folder in ("done", "failed"):
                with suppress(FileNotFoundError):
                    if not (storm.queue_dir / "pending" / f"{id}.json").exists():
                        storm.rerun[id] += 1
                        move_without_overwriting(
                            storm.queue_dir / folder / f"{id}.json", storm.queue_dir / "pending" / f"{id}.json"
                        )
        for id in some(3):
            with suppress(FileNotFoundError, FileExistsError):
                aside = storm.folder / f"aside-{id}"
                (storm.queue_dir / "pending" / f"{id}.json").rename(aside)
                move_without_overwriting(aside, storm.queue_dir / "pending" / f"{id}.json")
        time.sleep(0.05)

    for _ in range(3):
        storm.start_worker()
    threads = [storm.guarded(work) for work in (produce, retry, cancel, purge_and_restore, move_by_hand)]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not storm.stop.is_set():
        time.sleep(storm.random.random())
        storm.strike()
    storm.stop.set()
    for thread in threads:
        thread.join()
    assert not storm.errors
    storm.settle(queue, 300)
    audit(storm, queue, purged=frozenset(purged))
    for one in (queue, *others):
        one.close()


def move_without_overwriting(source: Path, target: Path) -> None:
    """As `mv -n` does."""
    subprocess.run(["mv", "-n", source, target], check=False, capture_output=True)

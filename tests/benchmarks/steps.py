"""The steps of a job's life through the queue, timed in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from limits import GROUP, Bodies, Cost, timed

from jobqueue import JobContext, Queue, Worker
from jobqueue.model.job import Job
from jobqueue.model.transition import Run, Transition, complete
from jobqueue.queue.config import Config
from jobqueue.store.base import Claim, Store, WorkerInfo

HANDLERS = str(Path(__file__).with_name("handlers.py"))
FILLED_AT_ONCE = 10_000


def payload(number: int) -> dict[str, object]:
    """About 200 bytes of JSON."""
    return {"repo": "octo/cat", "n": number, "text": "the quick brown fox jumps over the lazy dog, " * 3}


def open_queue(path: Path, durability: str) -> Queue:
    """A queue with default settings, whatever jobqueue.yaml lies about."""
    return Queue(path, durability=durability, config=Config())


def info() -> WorkerInfo:
    return WorkerInfo(owner="", host="bench", pid=os.getpid(), started_at=datetime.now(timezone.utc))


def outcome(claim: Claim) -> tuple[Claim, Transition]:
    return claim, complete(claim.job, None, Run(claim.owner, claim.claimed_at, datetime.now(timezone.utc)))


def sample_bodies(path: Path) -> Bodies:
    """One job through the queue: the limit writes the same bytes."""
    queue = open_queue(path, "relaxed")
    queue.enqueue("noop", payload(0))
    waiting = next((path / "pending").iterdir()).read_bytes()
    Worker(queue, HANDLERS).run(drain=True)
    finished = next((path / "done").iterdir()).read_bytes()
    queue.close()
    return Bodies(waiting, finished)


def life(path: Path, size: int, durability: str, singles: int) -> dict[str, Cost]:
    """Enqueue, claim and finish, `size` jobs long; one by one they go at most `singles` times."""
    payloads = [payload(number) for number in range(size)]
    costs = {"enqueue": enqueue_one_by_one(path / "one", payloads[:singles], durability)}
    queue = open_queue(path / "many", durability)
    costs["enqueue_many"] = timed(size, lambda: queue.enqueue_many("noop", payloads))
    queue.close()
    return costs | claim_and_finish(path / "many", size, durability, singles)


def enqueue_one_by_one(path: Path, payloads: list[dict[str, object]], durability: str) -> Cost:
    queue = open_queue(path, durability)

    def enqueue() -> None:
        for one in payloads:
            queue.enqueue("noop", one)

    cost = timed(len(payloads), enqueue)
    queue.close()
    return cost


def claim_and_finish(path: Path, size: int, durability: str, singles: int) -> dict[str, Cost]:
    queue = open_queue(path, durability)
    store = queue.store
    owner = store.join(info())
    claims = store.claim(owner)  # this one lists the folder
    costs = {"claim": timed(size - 1, lambda: claim_into(claims, store, owner, size - 1))}
    outcomes = [outcome(claim) for claim in claims]
    half = min(singles, size // 2)
    costs["finish"] = timed(half, lambda: [store.apply([one]) for one in outcomes[:half]])
    groups = [outcomes[start : start + GROUP] for start in range(half, size, GROUP)]
    costs["finish, groups"] = timed(size - half, lambda: [store.apply(group) for group in groups])
    store.leave(owner)
    queue.close()
    return costs


def claim_into(claims: list[Claim], store: Store, owner: str, count: int) -> None:
    for _ in range(count):
        claims += store.claim(owner)


def drain_inline(path: Path, size: int, durability: str) -> Cost:
    """A whole worker in this process, from its start to its end."""
    queue = open_queue(path, durability)
    queue.enqueue_many("noop", [payload(number) for number in range(size)])
    worker = Worker(queue, HANDLERS, executor="inline")
    cost = timed(size, lambda: worker.run(drain=True))
    check_drained(worker, size)
    queue.close()
    return cost


def drain_process(path: Path, size: int, durability: str) -> Cost:
    """The same with one child process, from the first handler's first line to the last one's: without its start."""
    queue = open_queue(path, durability)
    first = queue.enqueue("stamp", {"n": 0}, priority="urgent")
    queue.enqueue_many("noop", [payload(number) for number in range(size - 1)])
    last = queue.enqueue("stamp", {"n": 1}, priority="low")
    worker = Worker(queue, HANDLERS, executor="process")
    cost = timed(size, lambda: worker.run(drain=True))
    check_drained(worker, size + 1)
    took = (last.result() - first.result()) / 1000 / size
    queue.close()
    return Cost(took, cost.cpu)


def drain_two_processes(path: Path, size: int, durability: str) -> Cost:
    """A whole worker with two child processes, from the first handler's first line to the last one's."""
    queue = open_queue(path, durability)
    stamps = queue.enqueue_many("stamp", [{"n": number} for number in range(size)])
    worker = Worker(queue, HANDLERS, executor="process", concurrency=2)
    cost = timed(size, lambda: worker.run(drain=True))
    check_drained(worker, size)
    times = [stamp.result() for stamp in stamps]
    queue.close()
    return Cost((max(times) - min(times)) / 1000 / size, cost.cpu)


def check_drained(worker: Worker, size: int) -> None:
    assert worker.counts["done"] == size, f"{worker.counts} of {size} jobs"


def progress(path: Path, calls: int) -> Cost:
    """A handler that says where it is a thousand times a second; what that takes of it, for each time it says so."""
    queue = open_queue(path, "relaxed")
    context = JobContext(Job(id="bench", type="noop"), 1, notes=queue.store.notes)
    spent = 0.0
    idle = paced(calls, lambda number: None)

    def say(number: int) -> None:
        nonlocal spent
        started = time.perf_counter()
        context.progress(number, "working", total=calls)
        spent += time.perf_counter() - started

    busy = paced(calls, say)
    context.close()
    queue.close()
    return Cost(spent / calls * 1e6, max(0.0, busy - idle) / calls * 1e6)


def paced(calls: int, act: Callable[[int], None]) -> float:
    """Calls it once each millisecond; the seconds of processor time that all of it took."""
    started, used = time.perf_counter(), time.process_time()
    for number in range(calls):
        act(number)
        time.sleep(max(0.0, started + (number + 1) / 1000 - time.perf_counter()))
    return time.process_time() - used


class Backlog:
    """A long queue, from which a few are claimed by new workers: by ours, and by the bare calls in the same folder."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size

    def fill(self) -> None:
        """Until so many jobs wait."""
        queue = open_queue(self.path, "relaxed")
        for start in range(len(os.listdir(self.path / "pending")), self.size, FILLED_AT_ONCE):
            numbers = range(start, min(start + FILLED_AT_ONCE, self.size))
            queue.enqueue_many("noop", [payload(number) for number in numbers])
        queue.close()

    def measure(self, count: int) -> dict[str, tuple[Cost, Cost]]:
        """(cost, limit) of the first claim, for each waiting job, and of each of `count` claims behind it."""
        pending = os.open(self.path / "pending", os.O_RDONLY)
        listed: list[str] = []
        listing = timed(self.size, lambda: listed.extend(os.listdir(pending)))
        queue = open_queue(self.path, "relaxed")
        owner = queue.store.join(info())
        claims: list[Claim] = []
        first = timed(self.size, lambda: claim_into(claims, queue.store, owner, 1))
        last = sorted(listed)[-2 * count :]
        limit = timed(count, lambda: self.claim_bare(pending, last[count:]))
        claim = timed(count, lambda: claim_into(claims, queue.store, owner, count))
        assert len(claims) == count + 1
        again = timed(count, lambda: self.claim_bare(pending, last[:count]))
        os.close(pending)
        queue.store.apply([outcome(one) for one in claims])
        queue.store.leave(owner)
        queue.close()
        mean = Cost((limit.us + again.us) / 2, (limit.cpu + again.cpu) / 2)
        return {"first claim (lists)": (first, listing), "claim": (claim, mean)}

    def claim_bare(self, pending: int, names: list[str]) -> None:
        (self.path / "bare").mkdir(exist_ok=True)
        claimed = os.open(self.path / "bare", os.O_RDONLY)
        for name in names:
            os.rename(name, name, src_dir_fd=pending, dst_dir_fd=claimed)
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=claimed)
            os.read(file, 1 << 16)
            os.close(file)
        os.close(claimed)

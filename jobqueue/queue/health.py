"""Whether a queue is well, in one word and with reasons: for a person, a probe, or a route.

unhealthy   the folder cannot be used
            jobs are due, no worker is alive, and the queue is not paused
degraded    the queue, or a type, is paused
            jobs are due whose type no live worker serves
            a due job has waited longer than 10 minutes while slots of workers that serve its type are idle
            jobs are held by workers that have died
            less than 5 % of the disk and less than 1 GB of it is free
            less than 256 MB of memory is available
            of the attempts in the last 10 minutes at least 5, and at least half, failed
healthy     none of these
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jobqueue.inert import inert
from jobqueue.model.filter import Filter
from jobqueue.model.status import Status
from jobqueue.model.times import iso, short
from jobqueue.queue.doctor import LITTLE_MEMORY, LOOK_AT, available_memory
from jobqueue.queue.showing import mimebundle
from jobqueue.store.base import Digest, Store, WorkerInfo
from jobqueue.store.finding import size, some
from jobqueue.store.reading import NOT_A_JOB

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue

Word = Literal["healthy", "degraded", "unhealthy"]
LONG_WAIT = timedelta(minutes=10)
LATELY = timedelta(minutes=10)
MANY_FAILURES = 5
LITTLE_DISK, LITTLE_SHARE = 1_000_000_000, 0.05
FAILURES = ("failed", "crashed")


class HealthCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs are pending, claimed, done and failed, by the names that probes know."""

    waiting: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`reasons` are sentences that say what to do; `workers` is how many are alive, `stalled` how many jobs the dead hold."""

    status: Word
    stats: HealthCounts
    timestamp: datetime
    reasons: tuple[str, ...] = ()
    workers: int = 0
    stalled: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: the time as ISO 8601 with a Z."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields | {"timestamp": iso(self.timestamp), "reasons": list(self.reasons)}

    def __bool__(self) -> bool:
        return self.status == "healthy"

    def __str__(self) -> str:
        return "\n".join([self.status, *(f"  {inert(reason)}" for reason in self.reasons)])

    __repr__ = __str__
    _repr_mimebundle_ = mimebundle


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to judge.

    `due` has for each type how many jobs wait for no time, and since when the first of them does; `overlooked` the types
    that a worker with an idle slot serves, and since when a job of them may run and does not. Disk and memory are in bytes,
    None where the system does not say. `problem` is why the folder cannot be used.
    """

    now: datetime
    counts: Mapping[Status, int] = {}
    due: Mapping[str, tuple[int, datetime]] = {}
    overlooked: Mapping[str, datetime] = {}
    workers: Sequence[WorkerInfo] = ()
    stalled: int = 0
    paused: str | None = None
    paused_types: Mapping[str, str] = {}
    attempts: int = 0
    failures: int = 0
    disk_free: int | None = None
    disk_size: int | None = None
    memory: int | None = None
    problem: str | None = None


# Judged: pure


def judge_health(facts: Facts) -> Health:
    """All rules that hold, the grave ones first."""
    grave, slight = tuple(unhealthy_reasons(facts)), tuple(degraded_reasons(facts))
    counts = facts.counts
    return Health(
        status="unhealthy" if grave else "degraded" if slight else "healthy",
        stats=HealthCounts(
            waiting=counts.get(Status.PENDING, 0),
            active=counts.get(Status.CLAIMED, 0),
            completed=counts.get(Status.DONE, 0),
            failed=counts.get(Status.FAILED, 0),
        ),
        timestamp=facts.now,
        reasons=grave + slight,
        workers=len(facts.workers),
        stalled=facts.stalled,
    )


def unhealthy_reasons(facts: Facts) -> Iterator[str]:
    if facts.problem is not None:
        yield f"The folder cannot be used: {facts.problem}"
    elif (due := runnable(facts)) and not facts.workers:
        count = sum(number for number, _ in due.values())
        yield f"{jobs(count)} due and no worker is alive; start one: queue.ensure_worker('handlers.py')."


def degraded_reasons(facts: Facts) -> Iterator[str]:
    if facts.paused is not None:
        yield f"{capital(facts.paused)}; end it with queue.resume()."
    for type, sentence in sorted(facts.paused_types.items()):
        yield f"{capital(sentence)}; end it with queue.resume(type={type!r})."
    if facts.workers:
        yield from reasons_to_wait(facts)
    if facts.stalled:
        yield f"{jobs(facts.stalled)} held by workers that have died; any live worker takes them back within a second."
    if is_scarce(facts.disk_free, facts.disk_size):
        yield f"Only {size(facts.disk_free or 0)} of the disk is free; free some, or queue.purge(older_than='7d')."
    if facts.memory is not None and facts.memory < LITTLE_MEMORY:
        yield f"Only {size(facts.memory)} of memory is available; run fewer jobs at a time, with --concurrency."
    if facts.failures >= max(MANY_FAILURES, facts.attempts / 2):
        lately = f"{facts.failures} of {facts.attempts} attempts in the last {short(LATELY)} failed"
        yield f"{lately}; see queue.jobs('failed', since='{LATELY.seconds // 60}m')."


def reasons_to_wait(facts: Facts) -> Iterator[str]:
    due = runnable(facts)
    unserved = {type for type in due if not any(worker.serves(type) for worker in facts.workers)}
    if unserved:
        named = some([f"{type!r} ({due[type][0]})" for type in sorted(unserved)])
        yield f"No live worker serves {named}; start one with their handlers: queue.ensure_worker('handlers.py')."
    for type, since in facts.overlooked.items():
        if facts.now - since >= LONG_WAIT:
            waited = short(facts.now - since)
            yield f"A job of type {type!r} has been due for {waited}, and a worker is idle; restart that worker."


def runnable(facts: Facts) -> dict[str, tuple[int, datetime]]:
    """What is due and not paused."""
    if facts.paused is not None:
        return {}
    return {type: due for type, due in facts.due.items() if type not in facts.paused_types}


def is_scarce(free: int | None, whole: int | None) -> bool:
    return free is not None and whole is not None and free < min(LITTLE_DISK, LITTLE_SHARE * whole)


def jobs(count: int) -> str:
    return "1 job is" if count == 1 else f"{count:,} jobs are"


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


# Looked at: all reading is here


def health(queue: Queue) -> Health:
    """Looks at the queue, its workers and the machine, and judges."""
    now = queue.clock.now()
    try:
        return judge_health(look(queue, now))
    except OSError as error:
        return judge_health(Facts(now=now, problem=str(error)))


def look(queue: Queue, now: datetime) -> Facts:
    store = queue.store
    store.extend("", [])  # raises where the folder is no longer the one that was opened
    workers, control = store.workers(), store.control()
    counts = store.counts()
    due = due_by_type(store.digests((Status.PENDING,)), now)
    outcomes = [attempt.outcome for attempt in store.attempts(since=now - LATELY)]
    disk_free, disk_size = disk_of(store.url)
    return Facts(
        now=now,
        counts=counts,
        due=due,
        overlooked=overlooked(store, {type: since for type, (_, since) in due.items() if now - since >= LONG_WAIT}, workers),
        workers=workers,
        stalled=store.stalled(),
        paused=None if control.paused is None else control.paused.sentence("the queue"),
        paused_types={type: pause.sentence(f"the type {type!r}") for type, pause in control.paused_types.items()},
        attempts=len(outcomes),
        failures=sum(outcome in FAILURES for outcome in outcomes),
        disk_free=disk_free,
        disk_size=disk_size,
        memory=memory_left(),
    )


def due_by_type(digests: Iterable[Digest], now: datetime) -> dict[str, tuple[int, datetime]]:
    found: dict[str, tuple[int, datetime]] = {}
    for digest in digests:
        if (digest.run_after is None or digest.run_after <= now) and digest.type != NOT_A_JOB:
            since = digest.run_after or digest.created_at or now
            count, first = found.get(digest.type, (0, since))
            found[digest.type] = (count + 1, min(first, since))
    return found


def overlooked(store: Store, old: Mapping[str, datetime], workers: Sequence[WorkerInfo]) -> dict[str, datetime]:
    """Of the types with a job that has been due for long, those of which one may run now, and a worker has an idle slot."""
    idle = [worker for worker in workers if len(store.held(worker.owner)) < worker.concurrency]
    found = {}
    for type, since in old.items():
        if any(worker.serves(type) for worker in idle):
            first = store.scan(statuses=(Status.PENDING,), where=Filter(types=(type,)), limit=LOOK_AT).items
            if any(store.judge(located).action == "run" for located in first):
                found[type] = since
    return found


def memory_left() -> int | None:
    try:
        return available_memory()
    except OSError:
        return None


def disk_of(url: str) -> tuple[int | None, int | None]:
    """Bytes that are free for us, and in all; None for a store that is no folder."""
    try:
        seen = os.statvfs(url)
    except OSError:
        return None, None
    return seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize

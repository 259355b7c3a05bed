"""A queue for one test, and what a test wants to know of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobqueue.model.clock import Clock
from jobqueue.model.status import Status
from jobqueue.queue import default
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.opening import MEMORY
from jobqueue.queue.queue import Queue
from jobqueue.worker.worker import Worker


@contextmanager
def temporary_queue(*, clock: Clock | None = None, folder: bool = False) -> Iterator[Queue]:
    """An empty queue that is also the default queue of this process for as long as the block lasts.

    In memory, or with `folder` in a real temporary folder. A `FakeClock` makes delays and retries due without a sleep.
    """
    with tempfile.TemporaryDirectory(prefix="jobqueue-") as path:
        queue = Queue(Path(path) / "queue_dir" if folder else MEMORY, clock=clock, durability="relaxed")
        with queue, default.used(queue):
            yield queue


@dataclass
class Drained:
    """The jobs that a `drain` ended, in the order in which they were made; `waiting` are due later, or held back."""

    done: list[JobHandle[Any]] = field(default_factory=list)
    failed: list[JobHandle[Any]] = field(default_factory=list)
    waiting: list[JobHandle[Any]] = field(default_factory=list)

    @property
    def results(self) -> list[Any]:
        """What the handlers of the done jobs returned."""
        return [job.result() for job in self.done]


def drain(queue: Queue | None = None, handlers: Iterable[Any] = (), *, types: Iterable[str] | None = None) -> Drained:
    """Runs all that is due, here and now, in this thread; jobs that the handlers enqueue run too.

    `handlers` are marked functions, module names or files. What is delayed, or waits for its next attempt, stays
    pending: turn the clock on and drain again.
    """
    queue = queue or default.default_queue()
    before = {job.id for job in queue.jobs(("done", "failed"), limit=None)}
    Worker(queue, handlers, types=types, executor="inline", grace=0).run(drain=True, patience=0)
    after = [job for job in queue.jobs(limit=None) if job.id not in before]
    return Drained(
        done=[job for job in after if job.status is Status.DONE],
        failed=[job for job in after if job.status is Status.FAILED],
        waiting=[job for job in after if job.status is Status.PENDING],
    )


def assert_enqueued(
    type: str, payload: Mapping[str, Any] | None = None, *, queue: Queue | None = None, count: int | None = None, **fields: Any
) -> JobHandle[Any]:
    """That a job of this type exists, with at least these entries in its payload and these fields; answers with it.

    `count` (1 or more) asks for exactly so many. The failure lists the jobs of the type that there are.
    """
    if count is not None and count < 1:
        raise ValueError("count: give 1 or more; for none there is assert_not_enqueued")
    queue = queue or default.default_queue()
    found, others = matching(queue, type, payload, fields)
    wanted = describe(type, payload, fields)
    if count is None and not found:
        raise AssertionError(f"no job {wanted} was enqueued; there are:{listing(others)}")
    if count is not None and len(found) != count:
        raise AssertionError(f"{len(found)} jobs {wanted} were enqueued, not {count}; there are:{listing(found + others)}")
    return found[0]


def assert_not_enqueued(
    type: str, payload: Mapping[str, Any] | None = None, *, queue: Queue | None = None, **fields: Any
) -> None:
    """That no such job exists."""
    found, _ = matching(queue or default.default_queue(), type, payload, fields)
    if found:
        raise AssertionError(f"a job {describe(type, payload, fields)} was enqueued:{listing(found)}")


def matching(
    queue: Queue, type: str, payload: Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> tuple[list[JobHandle[Any]], list[JobHandle[Any]]]:
    jobs = queue.jobs(type=type, limit=None)
    found = [job for job in jobs if fits(job, payload or {}, fields)]
    return found, [job for job in jobs if job not in found] or list(queue.jobs(limit=None))


def fits(job: JobHandle[Any], payload: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    record = job.record
    return all(key in record.payload and record.payload[key] == value for key, value in payload.items()) and all(
        getattr(record, name) == value for name, value in fields.items()
    )


def describe(type: str, payload: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> str:
    parts = [repr(type)]
    parts += [f"with {json.dumps(payload, default=repr)}"] if payload else []
    parts += [f"and {name}={value!r}" for name, value in fields.items()]
    return " ".join(parts)


def listing(jobs: list[JobHandle[Any]]) -> str:
    lines = [f"\n  {job.record.type} {json.dumps(job.record.payload, ensure_ascii=False)[:200]}" for job in jobs[:10]]
    return "".join(lines) + (f"\n  and {len(jobs) - 10} more" if len(jobs) > 10 else "") or " none"

"""A job queue that is a folder: JSON files, atomic renames, notebooks.

from jobqueue import Queue, enqueue, handler
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobqueue.errors import (
        Discard,
        InvalidJob,
        JobCancelled,
        JobFailed,
        JobNotFound,
        JobQueueError,
        Retry,
        ScheduleNotFound,
        Snooze,
    )
    from jobqueue.model.retry import constant, exponential
    from jobqueue.queue.batch import Batch
    from jobqueue.queue.context import JobContext, current_job
    from jobqueue.queue.default import default_queue, enqueue
    from jobqueue.queue.handle import JobHandle
    from jobqueue.queue.handler import handler
    from jobqueue.queue.queue import Queue
    from jobqueue.queue.scheduling import Schedule
    from jobqueue.queue.waiting import as_completed
    from jobqueue.worker.worker import Worker

__version__ = "0.1.0"

HOMES = {
    "Queue": "jobqueue.queue.queue",
    "Schedule": "jobqueue.queue.scheduling",
    "ScheduleNotFound": "jobqueue.errors",
    "JobHandle": "jobqueue.queue.handle",
    "Batch": "jobqueue.queue.batch",
    "as_completed": "jobqueue.queue.waiting",
    "JobContext": "jobqueue.queue.context",
    "current_job": "jobqueue.queue.context",
    "default_queue": "jobqueue.queue.default",
    "enqueue": "jobqueue.queue.default",
    "handler": "jobqueue.queue.handler",
    "constant": "jobqueue.model.retry",
    "exponential": "jobqueue.model.retry",
    "Worker": "jobqueue.worker.worker",
    "Discard": "jobqueue.errors",
    "InvalidJob": "jobqueue.errors",
    "JobCancelled": "jobqueue.errors",
    "JobFailed": "jobqueue.errors",
    "JobNotFound": "jobqueue.errors",
    "JobQueueError": "jobqueue.errors",
    "Retry": "jobqueue.errors",
    "Snooze": "jobqueue.errors",
}
"""Where each name of the front door lives: it is imported when it is first asked for, so that the door opens at once."""

__all__ = [
    "Batch",
    "Discard",
    "InvalidJob",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobHandle",
    "JobNotFound",
    "JobQueueError",
    "Queue",
    "Retry",
    "Schedule",
    "ScheduleNotFound",
    "Snooze",
    "Worker",
    "as_completed",
    "constant",
    "current_job",
    "default_queue",
    "enqueue",
    "exponential",
    "handler",
]


def __getattr__(name: str) -> Any:
    home = HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'jobqueue' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext jobqueue`: %queue, %jobs, %worker and %%job."""
    importlib.import_module("jobqueue.panels.magics").register(shell)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Which panel shows what, for those who end a cell with a queue, a job, a batch or a worker."""

from __future__ import annotations

from typing import Any

from jobqueue import panels
from jobqueue.panels.panel import Panel
from jobqueue.queue.batch import Batch
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.queue import Queue
from jobqueue.queue.seen import WorkerHandle
from jobqueue.queue.stats import Stats


def live_view(thing: Any) -> Panel | None:
    """The panel of it, or None where a table says as much."""
    if isinstance(thing, Queue):
        return panels.dashboard(thing)
    if isinstance(thing, JobHandle):
        return panels.drawer(thing)
    if isinstance(thing, WorkerHandle):
        return panels.workers(thing.queue)
    if isinstance(thing, Stats):
        return None if thing.queue is None else panels.stats(thing.queue)
    return panels.progress(thing) if isinstance(thing, Batch) and thing else None

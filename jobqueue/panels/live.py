"""Which panel shows what, for those who end a cell with a queue, a job, a batch, workers or a coverage."""

from __future__ import annotations

from typing import Any

from jobqueue import panels
from jobqueue.analytics.coverage import Coverage
from jobqueue.panels.panel import Panel
from jobqueue.queue.batch import Batch
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.queue import Queue
from jobqueue.queue.seen import WorkerHandle, Workers
from jobqueue.queue.stats import Stats


def live_view(thing: Any) -> Panel | None:
    """The panel of it, or None where a table says as much."""
    if isinstance(thing, Queue):
        return panels.dashboard(thing)
    if isinstance(thing, JobHandle):
        return panels.drawer(thing)
    if isinstance(thing, WorkerHandle | Workers):
        return panels.workers(thing.queue)
    if isinstance(thing, Coverage):
        return panels.selector(thing)
    if isinstance(thing, Stats):
        return None if thing.queue is None else panels.stats(thing.queue)
    return panels.progress(thing) if isinstance(thing, Batch) and thing else None

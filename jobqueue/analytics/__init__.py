"""Everything that ever ran, as DataFrames: from the journal, so that purging jobs changes nothing here.

    from jobqueue import Queue, analytics

    queue = Queue("queue_dir")
    analytics.attempts(queue, since="24h")      one row for each finished attempt
    analytics.items(queue)                      one for each item that `ctx.track` was through with
    analytics.events(queue)                     one for each enqueue, cancel, purge, pause, ...
    analytics.jobs(queue, status="failed")      one for each job that is there

What the columns are: jobqueue/analytics/schema.py.
"""

from __future__ import annotations

from jobqueue.analytics.frames import attempts, events, items, skipped
from jobqueue.analytics.jobs import jobs

__all__ = ["attempts", "events", "items", "jobs", "skipped"]

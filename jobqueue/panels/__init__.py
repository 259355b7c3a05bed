"""Panels: live widgets for notebooks; `pip install 'jobqueue[notebook]'` brings what they need.

from jobqueue import Queue, panels

queue = Queue("queue_dir")
panels.dashboard(queue)      everything at a glance, and what can be done about it
panels.stats(queue)          how many jobs there are, and how fast they come and go
panels.jobs(queue)           all jobs in a table: sort, filter, choose some or all, and act
panels.failures(queue)       failures of one cause together
panels.metrics(queue, "7d")  how well it runs, with pictures
panels.workers(queue)        who is alive, and what they run
panels.drawer(job)           one job in full: payload, attempts, traceback, log, result
panels.progress(batch)       how far a batch has come
panels.selector(coverage)    which subjects are new, processed, or need a re-run
"""

from __future__ import annotations

from jobqueue.panels.counts import stats
from jobqueue.panels.dashboard import dashboard
from jobqueue.panels.drawer import drawer
from jobqueue.panels.groups import failures
from jobqueue.panels.jobs import jobs
from jobqueue.panels.measures import metrics
from jobqueue.panels.progress import progress
from jobqueue.panels.selector import selector
from jobqueue.panels.settings import developer_mode
from jobqueue.panels.staff import workers

__all__ = [
    "dashboard",
    "developer_mode",
    "drawer",
    "failures",
    "jobs",
    "metrics",
    "progress",
    "selector",
    "stats",
    "workers",
]

"""Everything that ever ran, as DataFrames: from the journal, so that purging jobs changes nothing here.

    from jobqueue import Queue, analytics

    queue = Queue("queue_dir")
    analytics.attempts(queue, since="24h")      one row for each finished attempt
    analytics.items(queue)                      one for each item that `ctx.track` was through with
    analytics.events(queue)                     one for each enqueue, cancel, purge, pause, ...
    analytics.jobs(queue, status="failed")      one for each job that is there
    analytics.metrics(queue, "7d", by="type")   success, durations, waiting, tokens: of periods and groups
    analytics.errors(queue, since="24h")        failures, like ones counted together
    analytics.stale(queue, "cards")             done jobs whose code or version is no more the one that runs now
    analytics.export(queue, "attempts.parquet") any frame as Parquet or CSV
    analytics.prometheus(queue)                 the numbers that Prometheus scrapes
    analytics.coverage(queue, commits, cards)   which of these are new, processed, or need a re-run
    analytics.pictures.throughput(queue, "24h") pictures of them

What the columns are: jobqueue/analytics/schema.py.
"""

from __future__ import annotations

EXTRA = ("duckdb", "pandas", "pyarrow")

try:
    from jobqueue.analytics import pictures
    from jobqueue.analytics.coverage import Coverage, coverage
    from jobqueue.analytics.errors import errors
    from jobqueue.analytics.export import export
    from jobqueue.analytics.frames import attempts, events, items, skipped
    from jobqueue.analytics.jobs import jobs
    from jobqueue.analytics.metrics import metrics
    from jobqueue.analytics.prometheus import prometheus
    from jobqueue.analytics.stale import stale
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in EXTRA:
        raise
    needs = f"jobqueue.analytics needs {error.name}; run: pip install 'jobqueue[analytics]'"
    raise ModuleNotFoundError(needs, name=error.name) from None

__all__ = [
    "Coverage",
    "attempts",
    "coverage",
    "errors",
    "events",
    "export",
    "items",
    "jobs",
    "metrics",
    "pictures",
    "prometheus",
    "skipped",
    "stale",
]

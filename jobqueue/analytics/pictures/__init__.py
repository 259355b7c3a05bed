"""Pictures of what a queue did and does, from the journal. Each works in a notebook without the net, and as an SVG file.

    from jobqueue import Queue, analytics

    queue = Queue("queue_dir")
    analytics.pictures.throughput(queue, "24h")            attempts by outcome and time, and how many of them went well
    analytics.pictures.throughput(queue, "7d", by="type")  the same by type
    analytics.pictures.run_time(queue, "24h")              how long attempts ran
    analytics.pictures.wait_time(queue, "24h")             how long they waited
    analytics.pictures.backlog(queue, "24h")               how many jobs waited, and how long the oldest of them had
    analytics.pictures.timeline(queue, "1h")               which worker ran what, and when

All take a queue or a frame of `analytics.attempts`, a `range` ("24h", "7d", "30d", "all" or another duration; of a queue 24h
unless given, of a frame all) or `since=` and `until=`, a `timezone` (a name such as "Europe/Berlin"; the local one unless
given), and filters such as `project="p1"`. They give a `Picture`.
"""

from __future__ import annotations

from jobqueue.analytics.pictures.amounts import throughput
from jobqueue.analytics.pictures.gantt import timeline
from jobqueue.analytics.pictures.picture import Picture
from jobqueue.analytics.pictures.queued import backlog
from jobqueue.analytics.pictures.spread import run_time, wait_time

__all__ = ["Picture", "backlog", "run_time", "throughput", "timeline", "wait_time"]

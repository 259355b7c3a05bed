"""A traceback as HTML: the last frame first in sight, the user's code told from that of libraries."""

from __future__ import annotations

from jobqueue.model.job import Job
from jobqueue.panels.html import block

LONGEST = 20_000


def traceback_of(job: Job) -> str:
    """Escaped text for `<pre>`; empty where there is none."""
    error = job.last_error
    if error is None or not error.traceback:
        return ""
    lines = error.traceback[-LONGEST:]
    return block(lines.rstrip("\n"))

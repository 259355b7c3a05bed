"""placeholder"""

from __future__ import annotations
from typing import Any
import pandas as pd
from jobqueue.analytics.schema import JOBS
from jobqueue.queue.queue import Queue


def jobs(queue: Queue, status: Any = None, **filters: Any) -> pd.DataFrame:
    page = queue.jobs(status, limit=None, **filters)
    rows = []
    for handle in page:
        job = handle.located.job
        rows.append(
            {
                **{field: getattr(job, field, None) for field in JOBS},
                "status": handle.located.status.value,
                "tags": list(job.tags),
                "reason": job.error.reason if job.error else None,
                "error_type": job.error.type if job.error else None,
                "error": job.error.message if job.error else None,
            }
        )
    frame = pd.DataFrame(rows, columns=list(JOBS))
    return frame.astype(JOBS)

"""What a running job prints and logs, on its way into its log."""

from __future__ import annotations

import logging
import threading
from collections.abc import MutableMapping
from datetime import datetime
from typing import Any

from jobqueue.model.job import Job
from jobqueue.store.base import Log

LONGEST_UNWRITTEN = 8192
job_logger = logging.getLogger("jobqueue.job")
job_logger.setLevel(logging.DEBUG)  # each job has a level of its own: see JobLogger


def level_of(job: Job) -> int | None:
    """From which level on it wants `logging` in its log; None where it says nothing."""
    return None if job.log_level is None else logging.getLevelNamesMapping()[job.log_level.upper()]


def heading(attempt: int, worker: str, now: datetime) -> str:
    """The line above what an attempt prints."""
    return f"--- attempt {attempt}, {now:%Y-%m-%d %H:%M:%S} UTC{', ' * bool(worker)}{worker} ---"


class Output:
    """Text in, whole lines out; any thread of the job may write."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.unwritten = ""
        self.lock = threading.RLock()  # what the log has to say (a full disk) may come back here

    def write(self, text: str) -> None:
        with self.lock:
            self.unwritten += text
            end = self.unwritten.rfind("\n") + 1
            if not end and len(self.unwritten) > LONGEST_UNWRITTEN:
                end = len(self.unwritten)
            if end:
                lines, self.unwritten = self.unwritten[:end], self.unwritten[end:]
                self.log.write(lines.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        with self.lock:
            if self.unwritten:
                self.write("\n")
            self.log.close()


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """`ctx.log("read %d rows", n)`, and a logger with all that a logger has: `ctx.log.warning(...)`.

    Records carry the job's id, type and attempt as `job`, `job_type` and `attempt`. `log_level` of the job says from which
    level on it writes (info), and so does its `setLevel`, for this job.
    """

    def __init__(self, job: Job, attempt: int) -> None:
        super().__init__(job_logger, {"job": job.id, "job_type": job.type, "attempt": attempt})
        self.least = level_of(job) or logging.INFO

    def setLevel(self, level: int | str) -> None:
        self.least = level if isinstance(level, int) else logging.getLevelNamesMapping()[level]

    def getEffectiveLevel(self) -> int:
        return self.least

    def isEnabledFor(self, level: int) -> bool:
        return level >= self.least and self.logger.isEnabledFor(level)

    def __call__(self, message: object, *args: object, **options: Any) -> None:
        options["stacklevel"] = options.get("stacklevel", 1) + 1
        self.info(message, *args, **options)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs

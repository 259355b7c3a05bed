"""How much of `logging` a job's log takes: what the job asks for goes before what its process was set to.

The root logger, which is one for the whole process, makes what the most talkative of the running jobs asks for; from each
log that is left out which its own job did not ask for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from jobqueue.model.job import Job
from jobqueue.queue.output import job_logger, level_of

root = logging.root


class Verbosity:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: list[int] = []
        """The levels of the running jobs that ask for one."""
        self.before = root.level
        """What the root logger was set to before the first of them."""

    @property
    def wanted(self) -> int:
        """The level of the most talkative one."""
        return min([self.before, *self.asked])

    @contextmanager
    def of(self, job: Job) -> Iterator[None]:
        """For as long as the job runs."""
        level = level_of(job)
        if level is None:
            yield
            return
        self.begin(level)
        try:
            yield
        finally:
            self.end(level)

    def begin(self, level: int) -> None:
        with self.lock:
            if not self.asked:
                self.before = root.level
            self.asked.append(level)
            root.setLevel(self.wanted)

    def end(self, level: int) -> None:
        """A level that a handler has set meanwhile stays."""
        with self.lock:
            was = self.wanted
            self.asked.remove(level)
            if root.level == was:
                root.setLevel(self.wanted)

    def takes(self, record: logging.LogRecord) -> bool:
        """Whether a process that runs one job at a time writes it to the log of that job."""
        return not self.asked or record.levelno >= min(self.asked)

    def takes_for(self, job: Job, record: logging.LogRecord) -> bool:
        """The same where other jobs run beside it, in threads."""
        level = level_of(job)
        if level is not None:
            return record.levelno >= level
        return not self.asked or record.name == job_logger.name or record.levelno >= self.own_level(record.name)

    def own_level(self, name: str) -> int:
        """From which level on this logger makes records where no job asks for more."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None and logger is not root:
            if logger.level:
                return logger.level
            logger = logger.parent
        return self.before


verbosity = Verbosity()

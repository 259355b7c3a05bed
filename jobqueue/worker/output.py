"""What the process of a slot prints: into the log of the job that it runs, or else to the worker's own stderr.

The process writes into a pipe. Nobody waits for the pipe's end: what a handler left behind may hold it open for ever.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from jobqueue.inert import inert_logger
from jobqueue.model.job import Job
from jobqueue.store.base import Log

log = inert_logger("jobqueue.worker")

CAPACITY = 1 << 16
"""What a pipe holds: all that was printed before an answer was sent is read by so much."""
OpenLog = Callable[[Job, int], Log | None]
"""(job, attempt) to where its output goes; None where it goes nowhere."""


class Output:
    def __init__(self, open_log: OpenLog) -> None:
        self.open_log = open_log
        self.pipe = -1
        self.job: Job | None = None
        self.attempt = 0
        self.log: Log | None = None

    def open(self) -> int:
        """A fresh pipe; returns the end to write to, which is the caller's to close."""
        self.pipe, writing = os.pipe()
        os.set_blocking(self.pipe, False)
        return writing

    def begin(self, job: Job, attempt: int) -> None:
        """What comes from here on belongs to this job. Its log is opened at the first byte."""
        self.job = job
        self.attempt = attempt

    def end(self) -> None:
        if self.log is not None:
            self.log.close()
        self.job = self.log = None

    def drain(self) -> bool:
        """Passes on what is in the pipe, at most what it can hold; False when nobody can write to it any more."""
        left = CAPACITY
        while left > 0:
            try:
                data = os.read(self.pipe, CAPACITY)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.pass_on(data)
            left -= len(data)
        return True

    def pass_on(self, data: bytes) -> None:
        if self.job is not None and self.log is None:
            self.log = self.open_log(self.job, self.attempt)
        if self.log is not None:
            self.log.write(data)
        if self.log is None or log.isEnabledFor(logging.DEBUG):
            with suppress(OSError, ValueError):
                sys.stderr.write(data.decode("utf-8", "backslashreplace"))
                sys.stderr.flush()

    def close(self) -> None:
        self.end()
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

"""What handlers print and log in the worker's own process: a copy goes to the log of the job that runs here.

It still goes where it went before: a notebook cell shows it, a terminal too. Which job runs is told by the context
variable `running`, so that jobs in several threads, and several workers in one process, are kept apart.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jobqueue.queue.context import running
from jobqueue.worker.verbosity import verbosity

LINE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STREAMS = ("stdout", "stderr")


class Tee:
    """Stands in for sys.stdout or sys.stderr."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        context = running.get(None)
        if context is not None and isinstance(text, str):
            context.output.write(text)
        written: int = self.stream.write(text)
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class JobLogHandler(logging.Handler):
    """Writes what is logged while a job runs to the log of that job."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(line_formatter())

    def emit(self, record: logging.LogRecord) -> None:
        context = running.get(None)
        try:
            if context is not None and not comes_through_a_tee() and verbosity.takes_for(context.job, record):
                context.output.write(self.format(record) + "\n")
            if record.levelno >= logging.WARNING and self.is_alone(record):
                self.show(record)
        except Exception:
            self.handleError(record)

    def is_alone(self, record: logging.LogRecord) -> bool:
        """Whether nobody else takes this record, so that without us Python would have printed it."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return False
            logger = logger.parent if logger.propagate else None
        return True

    def show(self, record: logging.LogRecord) -> None:
        stream = sys.stderr.stream if isinstance(sys.stderr, Tee) else sys.stderr
        if stream is not None:
            stream.write(record.getMessage() + "\n")


def line_formatter() -> logging.Formatter:
    formatter = logging.Formatter(LINE_FORMAT, "%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter


def comes_through_a_tee() -> bool:
    """Whether a handler that was made meanwhile writes to our stream, which takes the record to the log already."""
    return any(isinstance(getattr(handler, "stream", None), Tee) for handler in logging.root.handlers)


class Capture:
    """Installed once for all workers of this process that need it, and taken away with the last of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.tees: dict[str, Tee] = {}
        self.handler = JobLogHandler()

    def start(self) -> None:
        with self.lock:
            self.users += 1
            if self.users > 1:
                return
            for name in STREAMS:
                stream = getattr(sys, name)
                while isinstance(stream, Tee):  # one that somebody had kept and put back
                    stream = stream.stream
                if stream is not None:
                    self.tees[name] = Tee(stream)
                    setattr(sys, name, self.tees[name])
            logging.root.addHandler(self.handler)

    def stop(self) -> None:
        with self.lock:
            self.users -= 1
            if self.users > 0:
                return
            logging.root.removeHandler(self.handler)
            for name, tee in self.tees.items():
                if getattr(sys, name) is tee:  # else somebody has put another in its place, and keeps it
                    setattr(sys, name, tee.stream)
            self.tees.clear()


capture = Capture()


@contextmanager
def captured(executor: str) -> Iterator[None]:
    """For as long as the block lasts; children of the process executor have a pipe for that."""
    if executor == "process":
        yield
        return
    capture.start()
    try:
        yield
    finally:
        capture.stop()

"""The process of one slot, seen from inside: loads the handlers once, then runs one job after the other.

It is started with the python of its worker and nothing else of it: the main program is not imported again.
"""

from __future__ import annotations

import ctypes
import faulthandler
import io
import logging
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from jobqueue.model.job import Failure
from jobqueue.queue.context import JobContext
from jobqueue.queue.registry import Registry
from jobqueue.worker.frames import BROKEN, READY, Order, Start, frame, job_of, take_frame
from jobqueue.worker.run import Result, call, failure_of, flush_output, kept_surroundings
from jobqueue.worker.verbosity import verbosity

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue
    from jobqueue.store.base import Notes

PR_SET_PDEATHSIG = 1
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
AT_ONCE = 1 << 18
CLEAR_REFS = "/proc/self/clear_refs"
RESET_PEAK = b"5"


def main(channel: int, lock: int, parent: int) -> None:
    """`channel` is the socket to the worker, `lock` the descriptor of its lock (-1 for none), `parent` its pid."""
    die_with(parent)
    worker = socket.socket(fileno=channel)
    keep_from_others(worker, lock)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable()
    open_streams()
    with suppress(OSError, EOFError):  # the worker is gone
        Child(worker).run()


def die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before it could be asked to tell us


def keep_from_others(worker: socket.socket, lock: int) -> None:
    """What a handler starts and leaves behind must neither keep a dead worker alive nor answer in our name."""
    worker.set_inheritable(False)
    os.register_at_fork(after_in_child=worker.close)
    if lock >= 0:
        os.set_inheritable(lock, False)
        os.register_at_fork(after_in_child=lambda: os.close(lock))


def open_streams() -> None:
    """Prints go to the worker line by line, so that none is lost when this process dies."""
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


class Child:
    """`worker` is the socket to it."""

    def __init__(self, worker: socket.socket) -> None:
        self.worker = worker
        self.buffer = bytearray()
        self.streams = sys.stdout, sys.stderr
        self.orders = msgspec.json.Decoder(Order)
        self.queue: Queue | None = None
        try:
            self.peak = os.open(CLEAR_REFS, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self.peak = -1

    def run(self) -> None:
        """Until the worker says no more."""
        self.start: Start = pickle.loads(self.receive())
        try:
            self.registry = Registry.load(self.start.names)
            self.notes = open_notes(self.start.notes)
        except BaseException as error:
            self.answer(Result(BROKEN, error=failure_of(error)))
            raise SystemExit(1) from None
        logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
        for handler in logging.root.handlers:
            handler.addFilter(verbosity.takes)
        self.answer(Result(READY))
        while True:
            order = self.orders.decode(self.receive())
            with kept_surroundings():
                result = self.carry_out(order)
            flush_output()
            self.answer(result)

    def carry_out(self, order: Order) -> Result:
        sys.stdout, sys.stderr = self.streams
        self.forget_peak()
        handler = self.registry.get(order.job.type)
        if handler is None:
            message = f"the handler of {order.job.type!r} is not in {', '.join(self.start.names)} any more"
            return Result("failed", error=Failure(message=message))
        mark = order.cancel_mark
        context = JobContext(
            job_of(order),
            order.attempt,
            lambda: bool(mark) and os.path.lexists(mark),
            notes=self.notes,
            open_queue=self.open_queue,
            worker=self.start.worker,
        )
        return call(handler, context)

    def open_queue(self) -> Queue:
        """The queue of the worker, opened when a handler first asks for it."""
        if self.queue is None:
            from jobqueue.queue.queue import Queue

            self.queue = Queue(config=self.start.config, create=False)
        return self.queue

    def forget_peak(self) -> None:
        """The most memory that this process held counts from here on."""
        if self.peak >= 0:
            with suppress(OSError):
                os.write(self.peak, RESET_PEAK)

    def receive(self) -> bytes:
        while (body := take_frame(self.buffer)) is None:
            data = self.worker.recv(AT_ONCE)
            if not data:
                raise EOFError
            self.buffer += data
        return body

    def answer(self, result: Result) -> None:
        """In a process that a handler has forked, and that came back here, the socket is closed: it ends."""
        self.worker.sendall(frame(encoded(result)))


def encoded(result: Result) -> bytes:
    if isinstance(result.until, timedelta):
        result = msgspec.structs.replace(result, until=result.until.total_seconds())
    try:
        return msgspec.json.encode(result)
    except Exception as error:
        message = f"the result could not be sent back: {error}"
        return msgspec.json.encode(Result("failed", error=Failure(type=type(error).__name__, message=message)))


def open_notes(address: str) -> Notes | None:
    if not address:
        return None
    from jobqueue.store.notes import open_notes

    return open_notes(address)

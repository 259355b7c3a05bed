"""The process of one slot, seen from its worker: start it, send it a job, hear what comes back, end it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import msgspec

from jobqueue.model.job import Failure, Job
from jobqueue.worker.death import crash, kills_for_memory, own_peak, peak_of
from jobqueue.worker.frames import BROKEN, LARGEST, READY, Start, frame, is_too_large, order_of, take_frame
from jobqueue.worker.output import Output
from jobqueue.worker.run import Result

AT_ONCE = 1 << 18
PROGRAM = (
    "import json, os, sys; channel, lock, parent, length = map(int, sys.argv[1:]); "
    "sys.path[:] = json.loads(os.read(channel, length)); "
    "from jobqueue.worker.child import main; main(channel, lock, parent)"
)
answers = msgspec.json.Decoder(Result)


class Call:
    """A job that runs in a process; what the worker asks of a Future, without its locks."""

    def __init__(self, job: Job, slot: Slot) -> None:
        self.job = job
        self.slot = slot
        self.outcome: Result | None = None

    def done(self) -> bool:
        return self.outcome is not None

    def result(self) -> Result:
        assert self.outcome is not None
        return self.outcome


class Slot:
    """One process and the job that it runs. All of it belongs to the worker's own thread.

    The process leads a group of its own, dies with the thread that started it, and holds the worker's lock.
    """

    def __init__(self, start: Start, lock: int | None, output: Output) -> None:
        self.call: Call | None = None
        self.ready = False
        self.silent = False
        """It will say no more: it is dead, dying, or has closed its ears."""
        self.doomed = False
        """A signal was sent to it, or it was told to end: it gets no other job."""
        self.retired = False
        self.leave_by: float | None = None
        """When a process that was told to end, or has closed its ears, is killed."""
        self.jobs = 0
        self.received = bytearray()
        self.unsent = bytearray()
        self.output = output
        self.least_peak = own_peak()  # what the kernel reports of a child begins with what its parent held
        self.peak_seen: int | None = None
        self.kills_before = kills_for_memory()
        self.process, self.channel = launch(lock, output.open())
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.send(pickle.dumps(start))

    # -- jobs

    def begin(self, job: Job, attempt: int, cancel_mark: str) -> Call:
        self.jobs += 1
        self.peak_seen = None
        self.call = Call(job, self)
        self.output.begin(job, attempt)
        self.send(order_of(job, attempt, cancel_mark))
        return self.call

    def send(self, body: bytes) -> None:
        self.unsent += frame(body)
        self.send_more()

    def send_more(self) -> None:
        """As much as the socket takes now: a process that is still starting does not read, and nobody waits for it."""
        try:
            del self.unsent[: self.channel.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it has died, or closed its ears, which is noticed elsewhere
            self.unsent.clear()

    def hear(self) -> bool:
        """Takes in some of what it says; False when there is nothing more now."""
        try:
            data = self.channel.recv(AT_ONCE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.silent = True
            return False
        self.received += data
        while (body := take_frame(self.received)) is not None:
            self.understand(body)
        if is_too_large(self.received):
            self.refuse(f"above {LARGEST:,} bytes")
        return not self.silent

    def refuse(self, why: str) -> None:
        """What it sent is no answer of ours: nobody knows what it does now, and what follows could not be told from it."""
        self.received.clear()
        self.silent = True
        self.signal(signal.SIGKILL)
        self.end_call(Result("failed", error=Failure(message=f"the process sent what is no result: {why}")))

    def understand(self, body: bytes) -> None:
        try:
            result = answers.decode(body)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            self.refuse(str(error))
            return
        if result.kind == READY:
            self.ready = True
        elif result.kind == BROKEN:
            self.doomed = True
            self.end_call(not_loaded(result))
        elif self.call is None:
            self.refuse("nobody had asked for one")
        else:
            self.end_call(result)

    def end_call(self, result: Result) -> None:
        self.output.drain()
        self.output.end()
        call, self.call = self.call, None
        if call is not None:
            call.outcome = result

    # -- its end

    def signal(self, number: int) -> None:
        """To the process and to whatever the handler has started."""
        self.doomed = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def tell_to_end(self, seconds: float) -> None:
        """No more jobs: it ends by itself, or is killed after so many seconds."""
        self.doomed = True
        if self.leave_by is None:
            self.leave_by = time.monotonic() + seconds
        with suppress(OSError):
            self.channel.shutdown(socket.SHUT_WR)

    def look(self) -> None:
        """Now and then: how much memory it holds, and whether it has had its time to end."""
        if self.call is not None:
            self.peak_seen = peak_of(self.pid) or self.peak_seen
        if self.leave_by is not None and time.monotonic() >= self.leave_by:
            self.signal(signal.SIGKILL)

    def bury(self) -> None:
        """It is dead: its last words are heard, and its job has crashed unless they were the result."""
        self.doomed = True
        with suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)  # what a handler started does not outlive its attempt
        while self.hear():
            pass
        code, peak, sampled = self.reap()
        if self.call is not None:
            error = crash(code, peak, self.killed_for_memory(), sampled=sampled, started=self.ready)
            self.end_call(Result("failed", error=error))
        self.close()

    def reap(self) -> tuple[int | None, int | None, bool]:
        """Its exit code, the most memory that it held, and whether that is only the most that was seen."""
        try:
            _, status, usage = os.wait4(self.pid, 0)
        except ChildProcessError:  # somebody in this program waits for all children
            self.process.returncode = 0
            return None, self.peak_seen, True
        self.process.returncode = code = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * 1024
        if peak > self.least_peak or self.peak_seen is None:
            return code, peak, False
        return code, self.peak_seen, True

    def killed_for_memory(self) -> bool | None:
        kills = kills_for_memory()
        return None if kills is None or self.kills_before is None else kills > self.kills_before

    def close(self) -> None:
        self.output.close()
        self.channel.close()
        os.close(self.pidfd)


def not_loaded(result: Result) -> Result:
    error = result.error or Failure()
    message = f"the handlers cannot be loaded any more: {error.message}"
    return Result("failed", error=msgspec.structs.replace(error, message=message))


def launch(lock: int | None, output: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Starts a process; its search path is in the socket before it begins. Closes our copy of `output`."""
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        path = json.dumps([place for place in sys.path if isinstance(place, str)]).encode()
        ours.send(path)
        numbers = (theirs.fileno(), -1 if lock is None else lock, os.getpid(), len(path))
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[number for number in numbers[:2] if number >= 0],
            process_group=0,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(output)
    return process, ours

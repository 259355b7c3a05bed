"""Jobs in processes: one for each slot, so that a crash, a timeout or a cancel ends one job and nothing else.

The worker's own thread reads what its processes say: a job costs it no thread switch and no lock. Only a worker that
has a slot to spare, and so sleeps until news come, has a sentry wake it when a process speaks.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

from jobqueue.inert import inert_logger
from jobqueue.model.job import Job
from jobqueue.queue.output import heading
from jobqueue.queue.queue import Queue
from jobqueue.queue.registry import Registry
from jobqueue.store.base import Log
from jobqueue.worker.death import memory_of, size
from jobqueue.worker.executor import Ending, Slots, Upkeep
from jobqueue.worker.frames import Start
from jobqueue.worker.output import OpenLog, Output
from jobqueue.worker.slot import Call, Slot

log = inert_logger("jobqueue.worker")

TIME_TO_END = 2.0
"""Seconds that a process has to end by itself when it is told to."""
TIME_TO_DIE = 1.0
"""The same for one that was sent a signal, or has closed its socket."""


class ProcessSlots(Slots):
    """`lock` is the descriptor of the worker's lock, which every process holds too."""

    can_kill = True
    own_wait = True

    def __init__(self, start: Start, concurrency: int, lock: int | None, open_log: OpenLog, upkeep: Upkeep) -> None:
        self.start = start
        self.concurrency = concurrency
        self.lock = lock
        self.open_log = open_log
        self.upkeep = upkeep
        self.poller = select.epoll()
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.poller.register(self.bell, select.EPOLLIN)
        self.sentry = Sentry(self.poller)
        self.all: dict[int, tuple[Slot, Callable[[Slot, int], None]]] = {}
        """By descriptor: whose it is, and what to do when it is ready."""
        self.idle: list[Slot] = []
        self.places = 0
        """So many processes are to be started at the end of this look, not in its middle: descriptors are used again."""
        self.closing = False
        for _ in range(concurrency):
            self.idle.append(self.new_slot())

    def new_slot(self) -> Slot:
        slot = Slot(self.start, self.lock, Output(self.open_log))
        for descriptor, act in (
            (slot.channel.fileno(), self.on_channel),
            (slot.output.pipe, self.on_output),
            (slot.pidfd, self.on_death),
        ):
            self.poller.register(descriptor, select.EPOLLIN)
            self.all[descriptor] = (slot, act)
        self.send_rest(slot)
        return slot

    @property
    def slots(self) -> list[Slot]:
        """The processes that live, as far as we have heard."""
        return [slot for descriptor, (slot, _) in self.all.items() if descriptor == slot.pidfd]

    def ignore(self, descriptor: int) -> None:
        if self.all.pop(descriptor, None) is not None:
            self.poller.unregister(descriptor)

    # -- jobs

    def submit(self, job: Job, attempt: int, is_cancelled: Callable[[], bool], cancel_mark: str) -> Call:
        slot = self.take_idle()
        call = slot.begin(job, attempt, cancel_mark)
        self.send_rest(slot)
        return call

    def take_idle(self) -> Slot:
        """One that has loaded its handlers goes before one that still does."""
        if not self.idle:
            return self.new_slot()
        ready = (place for place in reversed(range(len(self.idle))) if self.idle[place].ready)
        return self.idle.pop(next(ready, -1))

    def send_rest(self, slot: Slot) -> None:
        """What the socket did not take at once goes when it is read: a process that is starting does not read yet."""
        if slot.unsent:
            self.poller.modify(slot.channel.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def starting(self, future: Ending) -> bool:
        return isinstance(future, Call) and not future.slot.ready and not future.done()

    def kill(self, future: Ending, *, hard: bool) -> None:
        if isinstance(future, Call) and not future.done():
            future.slot.signal(signal.SIGKILL if hard else signal.SIGTERM)

    # -- what the processes say

    def poll(self, timeout: float = 0.0) -> None:
        for descriptor, events in self.poller.poll(timeout):
            if descriptor == self.bell:
                os.eventfd_read(self.bell)
            elif (found := self.all.get(descriptor)) is not None:
                slot, act = found
                act(slot, events)
        while self.places:
            self.places -= 1
            self.idle.append(self.new_slot())

    def wake(self) -> None:
        os.eventfd_write(self.bell, 1)

    def alert(self, wake: Callable[[], None]) -> None:
        self.sentry.watch(wake)

    def on_channel(self, slot: Slot, events: int) -> None:
        if events & select.EPOLLOUT:
            slot.send_more()
            if not slot.unsent:
                self.poller.modify(slot.channel.fileno(), select.EPOLLIN)
        call = slot.call
        slot.hear()
        if call is not None and call.done():
            self.use_again(slot)
        if slot.silent:
            self.ignore(slot.channel.fileno())
            self.retire(slot, TIME_TO_DIE)

    def on_output(self, slot: Slot, events: int) -> None:
        if not slot.output.drain():
            self.ignore(slot.output.pipe)

    def on_death(self, slot: Slot, events: int) -> None:
        for descriptor in (slot.channel.fileno(), slot.output.pipe, slot.pidfd):
            self.ignore(descriptor)
        expected = slot.call is not None or slot.leave_by is not None
        slot.bury()
        self.retire(slot)
        if not expected:
            log.warning("a process ended while it had no job: exit code %s", slot.process.returncode)

    def retire(self, slot: Slot, seconds: float = 0.0) -> None:
        """It gets no other job. One that was of use is replaced at once; any other when a job needs it."""
        if slot in self.idle:
            self.idle.remove(slot)
        if slot.ready and not slot.retired and not self.closing:
            self.places += 1
        slot.retired = True
        slot.tell_to_end(seconds)

    def use_again(self, slot: Slot) -> None:
        """Its job has ended: it waits for the next one, or makes room for a fresh process."""
        why = "" if slot.doomed else self.why_not_again(slot)
        if slot.doomed or why:
            log.debug("replacing the process %d: %s", slot.pid, why or "a signal was sent to it")
            self.retire(slot, TIME_TO_END if why else TIME_TO_DIE)
        else:
            self.idle.append(slot)

    def why_not_again(self, slot: Slot) -> str:
        """Why a process shall get no other job; empty where it may."""
        jobs, memory = self.upkeep.max_jobs, self.upkeep.max_memory
        if jobs is not None and slot.jobs >= jobs:
            return f"it has run {slot.jobs} jobs"
        if memory is not None and (held := memory_of(slot.pid) or 0) > memory:
            return f"it holds {size(held)}"
        return ""

    def look(self) -> None:
        for slot in self.slots:
            slot.look()

    # -- the end

    def close(self, *, wait: bool = True) -> None:
        self.closing = True
        self.sentry.close(self.wake)
        for slot in self.slots:
            if slot.call is not None:
                slot.signal(signal.SIGKILL)
            slot.tell_to_end(TIME_TO_END)
        while self.slots:
            self.poll(0.1)
            self.look()
        self.poller.close()
        os.close(self.bell)


class Sentry:
    """A thread that waits for the processes in the worker's place, and wakes it once when one of them speaks."""

    def __init__(self, poller: select.epoll) -> None:
        self.poller = poller
        self.asked = threading.Semaphore(0)
        self.wake: Callable[[], None] | None = None
        self.thread: threading.Thread | None = None
        self.closed = False

    def watch(self, wake: Callable[[], None]) -> None:
        if self.wake is not None:
            return
        if self.thread is None:
            self.thread = threading.Thread(target=self.stand, name="jobqueue-sentry", daemon=True)
            self.thread.start()
        self.wake = wake
        self.asked.release()

    def stand(self) -> None:
        while self.asked.acquire() and not self.closed:
            self.poller.poll()
            wake, self.wake = self.wake, None
            if wake is not None:
                wake()

    def close(self, ring: Callable[[], None]) -> None:
        self.closed, self.wake = True, None
        if self.thread is not None:
            ring()
            self.asked.release()
            self.thread.join()


def process_slots(queue: Queue, registry: Registry, concurrency: int, owner: str, upkeep: Upkeep) -> ProcessSlots:
    """The processes of a worker over this queue."""
    notes = queue.store.notes

    def open_log(job: Job, attempt: int) -> Log:
        return notes.open_log(job.id, heading(attempt, owner, queue.clock.now()))

    start = Start(registry.names, replace(queue.config, queue_dir=queue.store.url), notes.address, owner)
    return ProcessSlots(start, concurrency, queue.store.life_line(owner), open_log, upkeep)

"""The worker: one thread that claims, hands to the executor, and stores what came of it."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from jobqueue.errors import HandlerError, QueueFolderError
from jobqueue.inert import inert_logger
from jobqueue.model.limit import merge
from jobqueue.model.told import tell
from jobqueue.model.transition import Run, Transition
from jobqueue.queue.queue import Queue
from jobqueue.queue.registry import Registry, registry_of
from jobqueue.store.base import Claim, Store, WorkerInfo, left_behind
from jobqueue.store.locks import host
from jobqueue.worker.capture import captured
from jobqueue.worker.chores import Chores
from jobqueue.worker.decide import decide, explained, unknown_type
from jobqueue.worker.executor import Ended, Ending, Slots, Upkeep, check_slots, make_slots
from jobqueue.worker.memory import Memory
from jobqueue.worker.outbox import Outbox
from jobqueue.worker.overseer import CANCEL_GRACE, Overseer, Running
from jobqueue.worker.reload import Reloader
from jobqueue.worker.report import report
from jobqueue.worker.run import HandBack, Result, one_line

log = inert_logger("jobqueue.worker")

LOOK_EVERY = 0.4
"""Seconds between two looks at dead owners, cancels and timeouts: well below the second that is promised."""


class Worker:
    """Runs the jobs of one queue with the handlers it was given, and no others.

    `queue` is a Queue (or its path), `handlers` a Registry, marked functions, module names or .py files. With `types` it
    leaves all others pending; without, a job whose type has no handler fails at once. `executor` is inline (in this
    thread), thread or process; `concurrency` how many jobs at a time; `grace` the seconds that running jobs get
    when the worker is told to stop, `cancel_grace` those that a job gets to heed a cancel, and again to heed SIGTERM. A
    process is replaced after `max_jobs_per_child` jobs, or when it holds more than `max_memory` bytes after one. A worker
    is run once: `run()` here, or `start()` and `stop()` in a thread of its own.
    """

    def __init__(
        self,
        queue: Queue | str | os.PathLike[str],
        handlers: Registry | Iterable[Any],
        *,
        types: Iterable[str] | None = None,
        concurrency: int = 1,
        executor: str = "inline",
        poll_interval: float = 1.0,
        grace: float = 30.0,
        cancel_grace: float = CANCEL_GRACE,
        max_jobs_per_child: int | None = None,
        max_memory: int | None = None,
    ) -> None:
        self.queue = queue if isinstance(queue, Queue) else Queue(queue)
        self.store: Store = self.queue.store
        self.registry = registry_of(handlers)
        self.types = checked_types(types, self.registry)
        self.concurrency = concurrency
        self.executor = executor
        self.poll_interval = poll_interval
        self.grace = grace
        self.cancel_grace = cancel_grace
        self.upkeep = Upkeep(max_jobs_per_child, max_memory)
        self.slots = Slots()
        check_slots(executor, self.registry, concurrency)
        self.owner = ""
        self.running: dict[str, Running] = {}
        self.outbox = Outbox(self.store)
        self.memory = Memory(concurrency)
        self.stopping = False  # plain flags: signal handlers set them
        self.hurry = False
        self.in_handler = False
        self.reloader: Reloader | None = None
        self.thread: threading.Thread | None = None
        self.random = random.Random()
        self.chores = Chores(self.queue)
        self.looked_at = 0.0
        self.refused = ""
        self.counts = {"done": 0, "failed": 0, "pending": 0}

    # -- life

    def run(self, *, drain: bool = False, once: bool = False, patience: float | None = None) -> None:
        """Works until it is told to stop; with `drain` until nothing is due, with `once` until one job is done.

        A drain waits for what is due within `patience` seconds; by default the time that dropped files get to settle.
        """
        with captured(self.executor):
            self.work(drain, once, patience)

    def work(self, drain: bool, once: bool, patience: float | None) -> None:
        if not self.owner:
            self.begin()
        patience = self.queue.config.settle_time if patience is None else patience
        idle_since = time.monotonic()
        try:
            while not self.stopping:
                busy = self.step(once=once)
                if once and sum(self.counts.values()) > 0:
                    break
                if busy or self.running:
                    idle_since = time.monotonic()
                    continue
                self.store_outcomes()
                if once or (drain and self.nothing_left(patience, time.monotonic() - idle_since)):
                    break
                self.rest()
        finally:
            self.end()

    def begin(self) -> None:
        names = tuple(sorted(self.types if self.types is not None else self.registry.types))
        info = WorkerInfo(
            owner="",
            host=host(),
            pid=os.getpid(),
            started_at=self.queue.clock.now(),
            types=names,
            serves_all=self.types is None,
            concurrency=self.concurrency,
            executor=self.executor,
            **self.registry.told(),
            limits=merge(self.queue.config.limits, self.registry.limits),
            budgets=self.queue.config.budgets,
        )
        self.owner = self.store.join(info)
        self.slots = make_slots(self.executor, self.queue, self.registry, self.concurrency, self.owner, self.upkeep)
        self.overseer = Overseer(self.store, self.slots, self.owner, self.cancel_grace)
        if self.executor == "inline":
            self.outbox.watch()
        log.info(
            "Worker loop started: %s on %s serves %s (%s, %d at a time)",
            self.owner,
            self.store.url,
            ", ".join(names) or "nothing",
            self.executor,
            self.concurrency,
        )
        self.look_around()

    def start(self) -> Worker:
        """Runs in a thread of its own until `stop`: for notebooks, servers and tests. Returns when it is at work."""
        ready: Future[None] = Future()
        self.thread = threading.Thread(target=self.live, args=(ready,), name="jobqueue-worker", daemon=True)
        self.thread.start()
        ready.result()
        return self

    def live(self, ready: Future[None]) -> None:
        """All of it in this one thread: the processes of the executor die with the thread that started them."""
        try:
            self.begin()
        except BaseException as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        self.run()

    def stop(self, *, now: bool = False) -> None:
        """Claims no more; running jobs get the grace time (none with `now`), then they are handed back."""
        self.stopping = True
        self.hurry = self.hurry or now
        self.wake()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()

    def wake(self) -> None:
        """Ends its sleep, whatever it sleeps in."""
        self.store.wake()
        self.slots.wake()

    def __enter__(self) -> Worker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def tick(self) -> bool:
        """Does at most one job, from its claim to its stored outcome; False when there was nothing to do."""
        with captured(self.executor):
            return self.do_one()

    def do_one(self) -> bool:
        if not self.owner:
            self.begin()
        before = sum(self.counts.values())
        self.look_around()
        self.slots.poll()
        for claim in self.store.claim(self.owner, limit=1, types=self.types):
            self.launch(claim)
        while self.running:
            self.collect()
            if self.running:
                self.rest(news=False)
                self.look_around_if_due()
        self.store_outcomes()
        return sum(self.counts.values()) > before

    # -- one pass

    def step(self, *, once: bool = False) -> bool:
        """One pass: collect what has finished, start what is due. True when there may be more to do at once."""
        self.look_around_if_due()
        collected = self.collect()
        if once and collected:
            return True
        free = (1 if once else self.memory.allowed) - len(self.running)
        claims = self.try_claim(free) if free > 0 else []
        for claim in claims:
            self.launch(claim)
        if self.outbox.due or (free > 0 and not claims):
            self.store_outcomes()
        if not claims and not collected and self.running:
            self.rest(news=free > 0)
        return bool(claims or collected)

    def try_claim(self, limit: int) -> list[Claim]:
        """A disk, or a process without descriptors, that refuses a claim is a reason to wait, not to end."""
        try:
            claims = self.store.claim(self.owner, limit=limit, types=self.types)
        except QueueFolderError:
            raise
        except OSError as error:
            if str(error) != self.refused:
                self.refused = str(error)
                log.error("cannot claim (%s); trying again", error)
            return []
        if claims:
            self.refused = ""
        return claims

    def rest(self, *, news: bool = True) -> None:
        """Sleeps until a job has ended or (with `news`) something may have come."""
        timeout = min(self.poll_interval, LOOK_EVERY)
        if self.slots.own_wait and not news:
            self.slots.poll(min(timeout, self.outbox.due_in))
            return
        if self.running:
            self.slots.alert(self.store.wake)
        self.store.wait(timeout, news=news)

    def nothing_left(self, patience: float, idle: float) -> bool:
        """Whether a drain is over: nothing is due soon, or it never comes (a file that is written for ever, a clock that
        a test has stopped)."""
        wait = self.store.due_in()
        return wait is None or wait > patience or idle > patience + 1

    def launch(self, claim: Claim) -> None:
        job = claim.job
        log.debug("claimed %s (%s), attempt %d", one_line(job.id), one_line(job.type), job.next_attempt)
        handler = self.registry.get(job.type)
        if handler is None:
            now = self.queue.clock.now()
            self.settle(claim, unknown_type(job, Run(self.owner, claim.claimed_at, now)))
            return
        seconds = job.timeout or handler.timeout
        future: Ending
        try:
            self.in_handler = self.executor == "inline"
            future = self.slots.submit(job, job.next_attempt, self.cancel_question(claim), self.store.cancel_mark(claim))
        except HandBack:  # it came between the handler's end and this line
            future = Ended(Result("handed_back"))
        finally:
            self.in_handler = False
        self.running[job.id] = Running(claim, future, handler, seconds, time.monotonic())
        if isinstance(future, Future) and not future.done():
            future.add_done_callback(lambda _: self.store.wake())

    def cancel_question(self, claim: Claim) -> Callable[[], bool]:
        """What `ctx.cancelled` asks, at most five times a second however often it is asked."""
        asked = [0.0, False]

        def is_cancelled() -> bool:
            if not asked[1] and time.monotonic() - asked[0] >= 0.2:
                asked[:] = [time.monotonic(), self.store.extend(self.owner, [claim]).get(claim.job.id) == "cancel"]
            return bool(asked[1])

        return is_cancelled

    def collect(self) -> bool:
        """Decides about the jobs that have ended since the last look."""
        self.slots.poll()
        ended = [running for running in self.running.values() if running.future.done()]
        for running in ended:
            del self.running[running.claim.job.id]
            self.conclude(running, running.future.result())
        return bool(ended)

    def conclude(self, running: Running, result: Result) -> None:
        job = running.claim.job
        result = explained(result, running.killed_for, running.timeout)
        seconds = result.seconds or time.monotonic() - running.started_at  # a process that died has not said
        ran = running.handler.ran(job, seconds)
        run = Run(self.owner, running.claim.claimed_at, self.queue.clock.now(), ran)
        asked = running.asked_at is not None
        transition = decide(job, result, run, running.handler.policy, self.random.random(), cancel_asked=asked)
        told = result.told
        if told is None and result.kind != "done" and self.executor == "process":  # it may have died before it could say
            told = left_behind(self.store.notes, job.id, job.next_attempt)
        self.settle(running.claim, transition if told is None else tell(transition, told), result.seconds)
        if told is not None and told.at_once:
            self.store_outcomes()

    def settle(self, claim: Claim, transition: Transition, seconds: float = 0.0) -> None:
        self.outbox.add(claim, transition)
        self.counts[transition.to.value] += 1
        report(claim.job, transition, seconds)

    def store_outcomes(self) -> None:
        self.outbox.flush()

    def look_around_if_due(self) -> None:
        if time.monotonic() - self.looked_at >= LOOK_EVERY:
            self.look_around()

    def look_around(self) -> None:
        """Does the chores that every worker shares, and looks after our own jobs."""
        self.looked_at = time.monotonic()
        self.chores.do_due()
        self.memory.look()
        self.slots.look()
        if self.reloader is not None and self.reloader.look():
            self.stopping = True
        self.overseer.look_after(self.running.values())

    # -- the end

    def end(self) -> None:
        """Lets running jobs finish, hands back the rest, and signs off."""
        deadline = time.monotonic() + self.grace
        ours = self.still_ours()
        try:
            while ours and self.running and time.monotonic() < deadline and not self.hurry:
                self.collect()
                self.store_outcomes()
                if self.running:
                    self.rest(news=False)
            self.hand_back_processes()
            self.collect()
            self.outbox.close(store=ours)
        finally:
            self.chores.close()
            self.sign_off(ours)

    def still_ours(self) -> bool:
        """Whether what we hold is still for us to store: the folder and our lock are where they were."""
        try:
            self.store.extend(self.owner, [])
        except QueueFolderError:
            return False
        return True

    def sign_off(self, ours: bool) -> None:
        if self.running:  # threads cannot be ended; the process must end with them, and then others may have the jobs
            if ours:
                self.store.hand_back(self.owner)
            log.warning("%d jobs still run in threads; they are handed back when this process ends", len(self.running))
            return
        self.slots.close()
        self.store.leave(self.owner)
        log.info("stopped %s: %d done, %d failed, %d given back", self.owner, *self.counts.values())

    def hand_back_processes(self) -> None:
        if not self.slots.can_kill or not self.running:
            return
        for running in self.running.values():
            running.killed_for = "shutdown"
            self.slots.kill(running.future, hard=True)
        deadline = time.monotonic() + 5
        while any(not running.future.done() for running in self.running.values()) and time.monotonic() < deadline:
            self.slots.poll(0.05)


def checked_types(types: Iterable[str] | None, registry: Registry) -> frozenset[str] | None:
    if types is None:
        return None
    chosen = frozenset(types)
    missing = sorted(chosen - registry.types)
    if missing:
        known = ", ".join(sorted(registry.types)) or "none"
        raise HandlerError(f"types: no handler for {missing[0]!r} was loaded; there are {known}")
    return chosen

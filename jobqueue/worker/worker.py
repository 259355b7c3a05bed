"""The worker: one thread that claims, hands to the executor, and stores what came of it."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from jobqueue.errors import HandlerError, QueueFolderError
from jobqueue.model.job import Failure
from jobqueue.model.retry import RetryPolicy
from jobqueue.model.transition import Run, Transition
from jobqueue.queue.queue import Queue
from jobqueue.queue.registry import Registry
from jobqueue.store.base import Claim, Store, WorkerInfo
from jobqueue.store.locks import host
from jobqueue.worker.decide import decide, unknown_type
from jobqueue.worker.executor import Ended, Ending, check_slots, make_slots
from jobqueue.worker.memory import Memory
from jobqueue.worker.outbox import Outbox
from jobqueue.worker.report import report
from jobqueue.worker.run import HandBack, Result

log = logging.getLogger("jobqueue.worker")

CHORES_EVERY = 0.4
"""Seconds between two looks at dead owners, cancels and timeouts: well below the second that is promised."""
SWEEP_EVERY = 600.0
CANCEL_GRACE = 5.0
NO_POLICY = RetryPolicy()


@dataclass
class Running:
    """A job that is in the executor now. `stop_at` is when it will have run too long, `killed_for` why it was ended."""

    claim: Claim
    future: Ending
    policy: RetryPolicy
    stop_at: float | None = None
    asked_at: float | None = None
    terminated_at: float | None = None
    killed_for: str = ""


class Worker:
    """Runs the jobs of one queue with the handlers it was given, and no others.

    `queue` is a Queue (or its path), `handlers` a Registry, marked functions, module names or .py files. With `types` it
    leaves all others pending; without, a job whose type has no handler fails at once. `executor` is inline (in this
    thread), thread or process; `concurrency` how many jobs at a time; `grace` the seconds that running jobs get when the
    worker is told to stop. A worker is run once: `run()` here, or `start()` and `stop()` in a thread of its own.
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
        check_slots(executor, self.registry, concurrency)
        self.owner = ""
        self.running: dict[str, Running] = {}
        self.outbox = Outbox(self.store)
        self.memory = Memory(concurrency)
        self.stopping = False  # plain flags: signal handlers set them
        self.hurry = False
        self.in_handler = False
        self.thread: threading.Thread | None = None
        self.random = random.Random()
        self.chores_at = 0.0
        self.sweep_at = time.monotonic() + SWEEP_EVERY * self.random.random()
        self.counts = {"done": 0, "failed": 0, "pending": 0}

    # -- life

    def run(self, *, drain: bool = False, once: bool = False, patience: float | None = None) -> None:
        """Works until it is told to stop; with `drain` until nothing is due, with `once` until one job is done.

        A drain waits for what is due within `patience` seconds; by default the time that dropped files get to settle.
        """
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
            policies=self.registry.policies,
        )
        self.owner = self.store.join(info)
        self.slots = make_slots(self.executor, self.registry, self.concurrency, self.store.life_line(self.owner))
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
        self.chores()

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
        self.store.wake()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()

    def __enter__(self) -> Worker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def tick(self) -> bool:
        """Does at most one job, from its claim to its stored outcome; False when there was nothing to do."""
        if not self.owner:
            self.begin()
        before = sum(self.counts.values())
        self.chores()
        for claim in self.store.claim(self.owner, limit=1, types=self.types):
            self.launch(claim)
        while self.running:
            self.collect()
            if self.running:
                self.rest(news=False)
                self.chores_if_due()
        self.store_outcomes()
        return sum(self.counts.values()) > before

    # -- one pass

    def step(self, *, once: bool = False) -> bool:
        """One pass: collect what has finished, start what is due. True when there may be more to do at once."""
        self.chores_if_due()
        collected = self.collect()
        if once and collected:
            return True
        free = (1 if once else self.memory.allowed) - len(self.running)
        claims = self.store.claim(self.owner, limit=free, types=self.types) if free > 0 else []
        for claim in claims:
            self.launch(claim)
        if self.outbox.due or not claims:
            self.store_outcomes()
        if not claims and not collected and self.running:
            self.rest(news=free > 0)
        return bool(claims or collected)

    def rest(self, *, news: bool = True) -> None:
        """Sleeps until a job has ended or (with `news`) something may have come."""
        self.store.wait(min(self.poll_interval, CHORES_EVERY), news=news)

    def nothing_left(self, patience: float, idle: float) -> bool:
        """Whether a drain is over: nothing is due soon, or it never comes (a file that is written for ever, a clock that
        a test has stopped)."""
        wait = self.store.due_in()
        return wait is None or wait > patience or idle > patience + 1

    def launch(self, claim: Claim) -> None:
        job = claim.job
        log.debug("claimed %s (%s), attempt %d", job.id, job.type, job.attempts + 1)
        handler = self.registry.get(job.type)
        if handler is None:
            now = self.queue.clock.now()
            self.settle(claim, unknown_type(job, Run(self.owner, claim.claimed_at, now)))
            return
        seconds = job.timeout or handler.timeout
        future: Ending
        try:
            self.in_handler = self.executor == "inline"
            future = self.slots.submit(job, job.attempts + 1, self.cancel_question(claim), self.store.cancel_mark(claim))
        except HandBack:  # it came between the handler's end and this line
            future = Ended(Result("handed_back"))
        finally:
            self.in_handler = False
        stop_at = None if seconds is None else time.monotonic() + seconds
        self.running[job.id] = Running(claim, future, handler.policy, stop_at)
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
        ended = [running for running in self.running.values() if running.future.done()]
        for running in ended:
            del self.running[running.claim.job.id]
            self.conclude(running, running.future.result())
        return bool(ended)

    def conclude(self, running: Running, result: Result) -> None:
        job = running.claim.job
        if running.killed_for == "timeout" and result.kind != "done":
            message = f"ran longer than {job.timeout or self.registry.get(job.type).timeout:g} s"  # type: ignore[union-attr]
            result = Result("failed", error=Failure(reason="timeout", message=message), seconds=result.seconds)
        elif running.killed_for == "shutdown" and result.kind != "done":
            result = Result("handed_back", seconds=result.seconds)
        run = Run(self.owner, running.claim.claimed_at, self.queue.clock.now())
        asked = running.asked_at is not None
        self.settle(
            running.claim, decide(job, result, run, running.policy, self.random.random(), cancel_asked=asked), result.seconds
        )

    def settle(self, claim: Claim, transition: Transition, seconds: float = 0.0) -> None:
        self.outbox.add(claim, transition)
        self.counts[transition.to.value] += 1
        report(claim.job, transition, seconds)

    def store_outcomes(self) -> None:
        self.outbox.flush()

    # -- chores

    def chores_if_due(self) -> None:
        if time.monotonic() - self.chores_at >= CHORES_EVERY:
            self.chores()

    def chores(self) -> None:
        """Takes back the jobs of dead workers, and looks after our own: cancelled, lost, or running too long."""
        self.chores_at = time.monotonic()
        if self.chores_at >= self.sweep_at:
            self.sweep_at = self.chores_at + SWEEP_EVERY
            self.store.sweep()
        if rescued := self.store.rescue():
            more = f" and {len(rescued) - 3} more" if len(rescued) > 3 else ""
            log.warning("took back what dead workers held: %s%s", ", ".join(rescued[:3]), more)
        self.memory.look()
        claims = [running.claim for running in self.running.values()]
        states = self.store.extend(self.owner, claims)
        for running in list(self.running.values()):
            self.look_after(running, states.get(running.claim.job.id, "ok"))

    def look_after(self, running: Running, state: str) -> None:
        """One step at a time: ask (a mark that the handler can see), then SIGTERM, then SIGKILL."""
        now = time.monotonic()
        if running.terminated_at is not None:
            if now - running.terminated_at >= self.cancel_grace:
                self.slots.kill(running.future, hard=True)
        elif running.stop_at is not None and now >= running.stop_at:
            running.killed_for = "timeout"
            self.terminate(running, "it ran longer than its timeout")
        elif state != "ok" and running.asked_at is None:
            running.asked_at = now
        elif running.asked_at is not None and now - running.asked_at >= self.cancel_grace:
            self.terminate(running, "it was asked to stop")

    def terminate(self, running: Running, why: str) -> None:
        running.terminated_at = time.monotonic()
        if self.slots.can_kill:
            log.warning("ending the process of %s: %s", running.claim.job.id, why)
            self.slots.kill(running.future, hard=False)

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
            time.sleep(0.01)


def registry_of(handlers: Any) -> Registry:
    """A registry from itself, from marked functions, or from module names and files."""
    if isinstance(handlers, Registry):
        return handlers
    given = [handlers] if isinstance(handlers, (str, os.PathLike)) or callable(handlers) else list(handlers)
    return Registry.of(*given) if all(callable(one) for one in given) else Registry.load(given)


def checked_types(types: Iterable[str] | None, registry: Registry) -> frozenset[str] | None:
    if types is None:
        return None
    chosen = frozenset(types)
    missing = sorted(chosen - registry.types)
    if missing:
        known = ", ".join(sorted(registry.types)) or "none"
        raise HandlerError(f"types: no handler for {missing[0]!r} was loaded; there are {known}")
    return chosen

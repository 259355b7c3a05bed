"""Taking jobs: from the order in memory to a file in one's own claim folder, by one rename."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence, Set
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import TypeVar

from msgspec.structs import replace

from jobqueue.inert import inert_logger
from jobqueue.model.clock import Clock
from jobqueue.model.control import Control
from jobqueue.model.gate import ParentState, Verdict, judge
from jobqueue.model.job import Failure, Job
from jobqueue.model.names import read_stamp
from jobqueue.model.transition import reopened
from jobqueue.store import files
from jobqueue.store.arrivals import Arrivals
from jobqueue.store.base import Claim
from jobqueue.store.folder import Folder
from jobqueue.store.index import LEAVING, Index
from jobqueue.store.intake import LARGEST, look
from jobqueue.store.layout import SUFFIX, is_job_name, is_ours
from jobqueue.store.limiting import Limiting
from jobqueue.store.lines import LOOK_EVERY, Lines
from jobqueue.store.strangers import Strangers, arrival, stamp_of
from jobqueue.store.taking import Taking
from jobqueue.store.watch import Watch

log = inert_logger("jobqueue")
T = TypeVar("T")

BUSY_AFTER = 20
"""So many claims without a pause in between mean a backlog: the watch is taken down."""
RESCAN = 1.0
LISTING_SHARE = 20
"""A listing is repeated only after 20 times what the last one took: at most 5 % of the time goes into listing."""
COARSE_CLOCK = 20_000_000
"""Within so many ns a folder's mtime may stay the same although something was added."""
POLL = 0.05
DOUBT_EVERY, DOUBTED_AT_ONCE = 1.0, 200
"""So many delayed jobs are opened in so many seconds to see whether they still wait: half a percent of a core."""
LOOK_UP_EVERY = 0.001
ENOUGH_TIME = 3600.0
SKIP_FOR = 30.0
PARENT = "parent:"
SOON = "soon"
"""Whoever could not be claimed for a reason that may be over in a moment: a locked key, a disk that refused."""


class Claiming:
    """What a store needs to hand out jobs. `end` and `reject` are called for jobs that will never run, and answer with
    the names that may not be moved; `take_key` for a dropped job with an idempotency key: it answers with the id of
    the job that holds it already; `supersede` to ask the jobs that hold a key to make way for another."""

    def __init__(
        self,
        folder: Folder,
        clock: Clock,
        arrivals: Arrivals,
        *,
        settle_time: float,
        max_file_size: int,
        control: Callable[[], Control],
        parent_state: ParentState,
        end: Callable[[Sequence[tuple[str, Failure]]], list[str]],
        reject: Callable[[Sequence[tuple[str, str]]], list[str]],
        cancel_asked: Callable[[str], bool],
        take_key: Callable[[Job], str | None],
        limiting: Limiting,
        supersede: Callable[[Sequence[str], str], object],
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.limit = max_file_size
        self.control = control
        self.parent_state = parent_state
        self.end = end
        self.reject = reject
        self.take_key = take_key
        self.limiting = limiting
        self.index = Index()
        self.lines = Lines(self.index, clock)
        self.strangers = Strangers(folder, self.index, settle_time, max_file_size)
        self.taking = Taking(folder, self.index, self.lines, limiting, self.strangers, cancel_asked, supersede)
        self.arrivals = arrivals
        self.events: SimpleQueue[str] = SimpleQueue()
        self.heard: list[str] = []
        self.watch = Watch(str(folder.path / "pending"), self.events)
        self.lock = threading.RLock()
        self.skipped_at = 0.0
        self.doubted_at = 0.0
        self.soon_at = 0.0
        self.seen_control = Control()
        self.pause_ends: datetime | None = None
        self.seen_types: Set[str] | None = None
        self.streak = 0
        self.look_up_at = 0.0
        self.listed_mtime = -1
        self.listed_at = -ENOUGH_TIME
        self.listing_took = 0.0

    def claim(self, owner: str, limit: int, types: Set[str] | None) -> list[Claim]:
        with self.lock:
            if self.arrivals.rang or not self.index.ready or time.monotonic() >= self.look_up_at:
                self.look_up()
            if types != self.seen_types:
                self.seen_types = types
                self.index.release("type")
            claims: list[Claim] = []
            try:
                self.claim_into(claims, owner, limit, types)
            except OSError:
                if not claims:
                    raise  # else what was claimed already must be handed out
            self.count_streak(len(claims))
            self.clear_out()
            return claims

    def claim_into(self, claims: list[Claim], owner: str, limit: int, types: Set[str] | None) -> None:
        """Looks at one name after the other, and lists the folder when there is none left, once."""
        listed = False
        while len(claims) < limit:
            if self.index.timed:
                self.index.wake(stamp_of(self.clock.now()))
            name = self.index.pop()
            if name is not None:
                try:
                    claim = self.try_claim(owner, name, types)
                except OSError:
                    self.index.keep(name, SOON)  # else this worker would never look at it again
                    raise
                if self.lines.leads:
                    self.lines.went(name)
                if claim is not None:
                    claims.append(claim)
            elif self.index.strange:
                self.strangers.meet()
            elif listed or not self.list_if_changed():
                return
            else:
                listed = True

    def clear_out(self) -> None:
        """Moves away what will never run: in groups, since each group costs a lock and a sync."""
        endings, self.taking.endings = self.taking.endings, []
        rejects, self.strangers.rejects = self.strangers.rejects, []
        self.index.held.pop(LEAVING, None)
        if endings:
            self.clear(self.end, endings, [id + SUFFIX for id, _ in endings])
        if rejects:
            self.clear(self.reject, rejects, [name for name, _ in rejects])

    def clear(self, move: Callable[[Sequence[T]], list[str]], what: Sequence[T], names: Sequence[str]) -> None:
        """What cannot be moved now (a full disk, an immutable file) is left for later, and costs nobody a claim."""
        try:
            fixed = move(what)
            for name in names:
                self.index.forget(name)
            for name in fixed:
                self.index.keep(name, "skip")
                self.strangers.report_once(name, "cannot be moved (immutable, or something is mounted on it)")
        except OSError as error:
            log.error("cannot move %d files out of pending/ (%s); trying again later", len(names), error)
            for name in names:
                self.index.keep(name, "skip")

    def look_up(self) -> None:
        """Hears what has come, and whether the queue was paused. At most once a millisecond while there is a backlog:
        it costs a fifth of a claim."""
        self.arrivals.rang = False
        self.look_up_at = time.monotonic() + LOOK_UP_EVERY
        self.take_hints()
        self.hear_control()
        if self.lines:
            self.lines.open_freed(self.arrivals.freed)
            self.lines.look()
        self.arrivals.freed.clear()

    def take_hints(self) -> None:
        names, missed = self.arrivals.news()
        for name in names:  # a known one may have been cancelled and retried meanwhile: what it waited for is over
            self.index.look_again(name)
        while not self.events.empty():
            self.hear(0)
        for name in self.heard:
            self.index.look_again(name)
        self.heard.clear()
        if missed or (self.index.keys and self.rescan_is_due()):
            self.list_if_changed()
        if self.index.strange:
            self.strangers.meet()
        if self.index.unread and time.monotonic() - self.doubted_at >= DOUBT_EVERY:
            self.doubted_at = time.monotonic()
            self.index.doubt(DOUBTED_AT_ONCE)
        self.strangers.judge()

    def rescan_is_due(self) -> bool:
        return time.monotonic() - self.listed_at >= max(RESCAN, self.listing_took * LISTING_SHARE)

    def list_if_changed(self) -> bool:
        """Lists pending/ unless its mtime says that nothing was added; True when the index may hold something new."""
        mtime = os.fstat(self.folder.pending).st_mtime_ns
        if self.release_waiting():
            return True
        if mtime == self.listed_mtime:
            self.listed_at = time.monotonic()
            return False
        if self.index.keys and time.monotonic() - self.listed_at < self.listing_took * LISTING_SHARE:
            return False
        self.list()
        self.listed_mtime = -1 if time.time_ns() - mtime < COARSE_CLOCK else mtime
        return True

    def release_waiting(self) -> bool:
        """Children whose parent has finished, and (now and then) files that could not be opened, get another look.

        True where there were any: they must be tried at once, whether or not it is time for another listing.
        """
        before = len(self.index.ready)
        for reason in [reason for reason in self.index.held if reason.startswith(PARENT)]:
            if self.parent_state(reason.removeprefix(PARENT)) != "waiting":
                self.index.release(reason)
        if SOON in self.index.held and time.monotonic() - self.soon_at > LOOK_EVERY:
            self.soon_at = time.monotonic()
            self.index.release(SOON)
        if time.monotonic() - self.skipped_at > SKIP_FOR:
            self.skipped_at = time.monotonic()
            self.index.release("skip")
        return len(self.index.ready) > before

    def list(self) -> None:
        started = time.monotonic()
        self.index.replace_all(name for name in files.names(self.folder.pending) if is_job_name(name))
        self.listed_at = time.monotonic()
        self.listing_took = self.listed_at - started

    def try_claim(self, owner: str, name: str, types: Set[str] | None) -> Claim | None:
        """Opens the job, asks the gate, and takes it by one rename; None where it does not run now."""
        pending = self.folder.pending
        ours = is_ours(name)
        seen = look(pending, name, LARGEST if ours else self.limit, check_writer=not ours)
        job = seen.job
        if job is None:
            self.strangers.put_aside(name, seen)
            return None
        now = self.clock.now()
        if not ours and job.written_by is None:  # it waits since it came, whatever it says of when it was made
            came = arrival(seen)
            job = replace(job, created_at=job.created_at or came, updated_at=came)
        if job.finished:  # moved here by hand: a request to run it again
            job = reopened(job, now)
        verdict = judge(job, now, control=self.seen_control, types=types, parent_state=self.parent_state)
        if verdict.action != "run":
            self.not_now(name, job, verdict)
            return None
        if not ours and job.idempotency_key is not None and not self.has_key(name, job):
            return None
        return self.taking.try_take(name, seen, self.taking.claim_for(owner, name, job, now))

    def has_key(self, name: str, job: Job) -> bool:
        """Whether a dropped job has its idempotency key; one whose key is another's ends."""
        try:
            holder = self.take_key(job)
        except BlockingIOError:
            self.index.hold(name, SOON)
            return False
        if holder is None:
            return True
        message = f"its idempotency key is held by {holder}"
        self.index.hold(name, LEAVING)
        self.taking.endings.append((job.id, Failure(reason="duplicate", message=message)))
        return False

    def not_now(self, name: str, job: Job, verdict: Verdict) -> None:
        if verdict.action == "end" and verdict.error is not None:
            self.index.hold(name, LEAVING)
            self.taking.endings.append((job.id, verdict.error))
        elif verdict.until is not None:
            self.index.delay(name, stamp_of(verdict.until))
        else:
            self.index.hold(name, verdict.hold)
            if self.pause_ends is None:  # the clock may have gone over the end of a pause, and back
                self.pause_ends = self.seen_control.next_end(self.clock.now())

    def hear_control(self) -> None:
        """What people have told the queue; and pauses that end by themselves."""
        control = self.control()
        if control is not self.seen_control and control != self.seen_control:
            self.seen_control = control
            self.limiting.hear(control.limits)
            self.index.release("pause")
            self.lines.open_all()
            self.pause_ends = control.next_end(self.clock.now())
        elif self.pause_ends is not None and self.pause_ends <= (now := self.clock.now()):
            self.index.release("pause")
            self.pause_ends = control.next_end(now)

    def count_streak(self, claimed: int) -> None:
        self.streak = self.streak + claimed if claimed else 0
        if self.streak > BUSY_AFTER and self.watch.watching:
            self.watch.pause()

    def due_in(self) -> float | None:
        """Seconds until something that is known here is to be looked at again."""
        waits = [self.strangers.settling.next_look()]
        waits.append(self.lines.opens_in())
        if self.pause_ends is not None and "pause" in self.index.held:
            waits.append(max(0.0, (self.pause_ends - self.clock.now()).total_seconds()))
        stamp = self.index.next_time()
        if stamp is not None and (due := read_stamp(stamp)) is not None:
            waits.append(max(0.0, (due - self.clock.now()).total_seconds()))
        return min((wait for wait in waits if wait is not None), default=None)

    def wait(self, timeout: float) -> bool:
        """Sleeps until an event, the next due time or the timeout. Watch first, then look: nothing falls in between."""
        self.streak = 0
        prompt = self.watch.watching
        watching = self.watch.start()
        with self.lock:
            if not prompt and (self.list_if_changed() or self.index.ready or self.index.strange):
                return True
            if self.index.lines and self.arrivals.rings():
                return True
            dues = [due for due in (self.due_in(), self.lines.next_look()) if due is not None]
            polling = not watching or bool(self.index.lines)
        deadline = time.monotonic() + min(timeout, *dues, timeout)
        while True:
            left = deadline - time.monotonic()
            if self.hear(min(left, POLL) if polling else left) is not None:
                return True
            with self.lock:
                if self.list_if_changed() or (self.index.lines and self.arrivals.rings()):
                    return True
            if left <= (POLL if polling else 0):
                return bool(dues)

    def sleep(self, timeout: float) -> None:
        """Sleeps until `wake`; names that arrive meanwhile are kept for the next claim."""
        deadline = time.monotonic() + timeout
        while self.hear(deadline - time.monotonic()):
            pass

    def hear(self, timeout: float) -> str | None:
        """The next name, or the empty text of a `wake`; None when the time is over."""
        try:
            name = self.events.get(timeout=max(0.0, timeout))
        except Empty:
            return None
        if name:
            self.heard.append(name)
        return name

    def wake(self) -> None:
        self.look_up_at = 0.0
        self.events.put("")

    def close(self) -> None:
        self.watch.stop()

"""Real processes that carry out programs on one queue, some of them killed, and what each of them was told.

They run truly at the same time, or in turns: then each stops before every step on the disk until it gets the turn, so
that the same programs with the same turns meet in the same way each time, and hypothesis can make a failure smaller.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jobqueue.errors import JobNotFound
from jobqueue.model.job import Failure, Job
from jobqueue.model.transition import Run, Transition, complete, fail, final_attempt, release, snooze
from jobqueue.store import files
from jobqueue.store.base import Claim, WorkerInfo
from jobqueue.store.check import check
from jobqueue.store.spool import Spool

from .history import MOST_ATTEMPTS, Call, State

IDS = tuple(f"10-20260101T00000000000{number}-0000000{number}" for number in range(3))
TOO_LONG = 60


class Program(NamedTuple):
    """What one process does; `killed_at` is the step on the disk before which it is killed."""

    steps: tuple[tuple[Any, ...], ...]
    killed_at: int | None = None


def clock() -> int:
    return time.monotonic_ns()


class Actor:
    """One process: carries out its program and writes down each call before and after."""

    def __init__(self, number: int, path: Path, log: Path) -> None:
        self.number = number
        self.spool = Spool(path, durability="relaxed")
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.owner = ""
        self.held: list[Claim] = []

    def note(self, *words: Any) -> None:
        os.write(self.log, (json.dumps([self.number, *words]) + "\n").encode())

    def told(self, verb: str, id: str, act: Callable[[], tuple[str, str]], detail: str = "") -> None:
        self.note("call", verb, id, clock(), detail)
        answer, about = act()
        at = clock()
        self.note("answer", verb, id, at, answer, about or detail)

    def carry_out(self, steps: Sequence[tuple[Any, ...]]) -> None:
        for verb, *arguments in steps:
            getattr(self, verb)(*arguments)

    # -- verbs

    def claim(self, limit: int) -> None:
        if not self.owner:
            info = WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=self.spool.clock.now())
            self.owner = self.spool.join(info)
        self.note("claiming", "claim", "", clock())
        self.spool.wake()
        claims = self.spool.claim(self.owner, limit=limit)
        at = clock()
        for claim in claims:
            self.note("answer", "claim", claim.job.id, at, "got", "")
        self.note("claimed", "claim", "", at)
        self.held += claims

    def finish(self, outcome: str) -> None:
        if self.held:
            claim = self.held.pop(0)
            transition = self.decide(claim, outcome)
            self.told(
                "finish", claim.job.id, lambda: ("ok" if self.spool.apply([(claim, transition)])[0] else "lost", ""), outcome
            )

    def decide(self, claim: Claim, outcome: str) -> Transition:
        now = self.spool.clock.now()
        run = Run(self.owner, claim.claimed_at, now)
        if outcome == "done":
            return complete(claim.job, 1, run)
        if outcome == "snoozed":
            return snooze(claim.job, now, run)
        if outcome == "released":
            return release(claim.job, run)
        return fail(claim.job, Failure(message="no"), run, delay=now - now, final=outcome == "final")

    def put(self, number: int) -> None:
        def act() -> tuple[str, str]:
            return self.spool.put([new_job(IDS[number])], given_ids=True)[0].outcome, ""

        self.told("put", IDS[number], act)

    def change(self, verb: str, number: int) -> None:
        id = IDS[number]

        def act() -> tuple[str, str]:
            if verb == "delete":
                (change,) = self.spool.purge([id], pending=True)
            else:
                (change,) = getattr(self.spool, verb)([id])
            named = change.located.status.value if change.outcome == "refused" and change.located is not None else ""
            return change.outcome, named

        self.told(verb, id, act)

    def look(self, number: int) -> None:
        def act() -> tuple[str, str]:
            try:
                return "status", self.spool.get(IDS[number]).status.value
            except JobNotFound:
                return "missing", ""

        self.told("look", IDS[number], act)

    def rescue(self) -> None:
        self.spool.rescue()

    def mend(self) -> None:
        found = [str(finding) for finding in check(self.spool, repair=True) if finding.level == "fail"]
        assert not found, found


def new_job(id: str) -> Job:
    return Job(id=id, type="scan", payload={"words": "x" * 50}, max_attempts=MOST_ATTEMPTS)


# -- processes


@contextmanager
def forking() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class Turns:
    """The two ends of a child's wait for its turn."""

    def __init__(self) -> None:
        self.asked, self.asks = os.pipe()
        self.waits, self.given = os.pipe()

    def wait(self) -> None:
        """In the child: until it is told to go on."""
        os.write(self.asks, b"?")
        if not os.read(self.waits, 1):
            os._exit(7)

    def is_waiting(self) -> bool:
        """In the parent: whether the child has come to its next step; False where it has ended."""
        return bool(os.read(self.asked, 1))

    def give(self) -> None:
        os.write(self.given, b"!")

    def in_child(self) -> None:
        os.close(self.asked)
        os.close(self.given)

    def in_parent(self) -> None:
        os.close(self.asks)
        os.close(self.waits)

    def close(self) -> None:
        os.close(self.asked)
        os.close(self.given)


def start(number: int, program: Program, path: Path, log: Path, turns: Turns, others: Sequence[Turns], in_turns: bool) -> int:
    with forking():
        child = os.fork()
    if child:
        turns.in_parent()
        return child
    code = 1
    try:
        for other in others:
            other.close()
        turns.in_child()
        signal.alarm(TOO_LONG)
        actor = Actor(number, path, log)
        turns.wait()
        step_by_step(turns, program.killed_at, in_turns)
        actor.carry_out(program.steps)
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def step_by_step(turns: Turns, killed_at: int | None, in_turns: bool) -> None:
    """Each step on the disk, and each look for a file, waits for its turn; the one is reached that is the last."""
    left = killed_at

    def probe(_: str) -> None:
        nonlocal left
        if left is not None:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        if in_turns:
            turns.wait()

    files.probe = probe
    if in_turns:
        exists = files.exists

        def look(folder: int, name: str) -> bool:
            turns.wait()
            return exists(folder, name)

        files.exists = look
        fcntl.flock = waiting_in_turns(turns)


def waiting_in_turns(turns: Turns) -> Callable[[int, int], None]:
    """Whoever waits for a lock lets the others go on, so that the one who has it can let go."""
    flock = fcntl.flock

    def wait(file: int, how: int) -> None:
        while True:
            try:
                return flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if how & fcntl.LOCK_NB:
                    raise
                turns.wait()

    return wait


def play(programs: Sequence[Program], path: Path, log: Path, turns: Sequence[tuple[int, int]] | None) -> tuple[list[int], bool]:
    """Runs the programs; how each process ended, and whether all were still at work after the first turn.

    `turns`: which process goes on, and for how many steps.
    """
    met = False
    ways: list[Turns] = []
    children: list[int] = []
    try:
        for number, program in enumerate(programs):
            way = Turns()
            children.append(start(number, program, path, log, way, ways, turns is not None))
            ways.append(way)
        alive = {number: way for number, way in enumerate(ways) if way.is_waiting()}
        if turns is None:
            for way in alive.values():
                way.give()
        else:
            met = take_turns(alive, turns)
    finally:
        for way in ways:
            way.close()
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return codes, met


def take_turns(alive: dict[int, Turns], turns: Sequence[tuple[int, int]]) -> bool:
    all_of_them, met = len(alive), False

    def go(number: int, steps: int) -> None:
        for _ in range(steps):
            alive[number].give()
            if not alive[number].is_waiting():
                del alive[number]
                return

    for number, (choice, steps) in enumerate(turns):
        if alive:
            go(list(alive)[choice % len(alive)], steps)
        met = met or (number == 0 and len(alive) == all_of_them)
    while alive:
        for number in list(alive):
            go(number, 20)
    return met


# -- what they were told, and what is there at the end


def read_calls(log: Path) -> dict[str, list[Call]]:
    """The calls about each job. A claim that a process was killed in may have taken any of them."""
    calls: dict[str, list[Call]] = {id: [] for id in IDS}
    begun: dict[int, tuple[Any, ...]] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        process, kind, verb, id, at, *rest = json.loads(line)
        if kind in ("call", "claiming"):
            begun[process] = (verb, id, at, rest[0] if rest else "")
        elif kind == "answer":
            calls[id].append(Call(process, verb, begun[process][2], at, *rest))
            if verb != "claim":
                del begun[process]
        else:
            del begun[process]
    for process, (verb, id, at, detail) in begun.items():
        for one in (id,) if id else IDS:
            calls[one].append(Call(process, verb, at, None, "", detail))
    return calls


def prepare(path: Path, states: Sequence[str]) -> dict[str, State]:
    """Jobs that are there before: pending, done or failed."""
    spool = Spool(path, durability="relaxed")
    owner = spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=spool.clock.now()))
    found = {id: State("absent") for id in IDS}
    for id, status in sorted(zip(IDS, states, strict=False), key=lambda one: one[1] == "pending"):  # what is to end comes first
        spool.put([new_job(id)], given_ids=True)
        found[id] = State("pending")
        if status != "pending":
            spool.wake()
            (claim,) = spool.claim(owner)
            run = Run(owner, claim.claimed_at, spool.clock.now())
            error = Failure(message="no")
            spool.apply([(claim, complete(claim.job, 1, run) if status == "done" else fail(claim.job, error, run, final=True))])
            found[id] = State(status, attempts=1, ended=status, lines=((1, status),))
    spool.leave(owner)
    spool.close()
    return found


def found_at_the_end(spool: Spool, id: str) -> tuple[Any, ...]:
    """In the words of `State.told`. Whole, and in one place: what is not so does not come as far as here."""
    lines = tuple(sorted((attempt.number, attempt.outcome) for attempt in spool.attempts() if attempt.job == id))
    try:
        located = spool.get(id)
        job, status = located.job, located.status.value
    except JobNotFound:
        trashed = [job for job in spool.trashed() if job.id == id]
        if not trashed:
            return ("absent", 0, (), "", lines)
        job, status = trashed[0], "trash"
    assert job.payload == {"words": "x" * 50}, f"{id} is torn: {job}"
    ended = final_attempt(job).outcome if job.finished else ""
    return (status, job.attempts, tuple(attempt.outcome for attempt in job.history), ended, lines)

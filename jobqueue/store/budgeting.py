"""What the jobs of a type have used of a budget: a small file for each, counted on as attempts end.

    .jobqueue/limits/<hash>.spent   {"name": "extract tokens", "since": "2026-11-22T00:00:00Z", "spent": 1000213.0}

The journal is the truth behind it: where the file is missing, broken or of another period, the attempts of the period
that runs now are counted anew. Nobody waits for the lock of such a file: what could not be noted is noted the next time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from jobqueue.model.budget import Spent, period_of, settle
from jobqueue.model.clock import Clock
from jobqueue.model.limit import Budget
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.journal import Journal
from jobqueue.store.keys import Keys
from jobqueue.store.ruling import Ruling

Budgets = Mapping[str, tuple[Budget, ...]]
Used = tuple[str, Mapping[str, float]]
"""A type, and what one attempt of it has used, by metric."""
LARGEST = 1 << 16


class Tally(msgspec.Struct, frozen=True):
    name: str
    since: datetime
    spent: float


class Budgeting:
    """`told` are the budgets that each worker of this process brought with it."""

    def __init__(self, folder: int, ruling: Ruling, journal: Journal, clock: Clock) -> None:
        self.files = Keys(folder, durable=False, ending=".spent")
        self.ruling = ruling
        self.journal = journal
        self.clock = clock
        self.told: dict[str, Budgets] = {}
        self.owed: dict[tuple[str, str], float] = {}
        self.to_settle: set[str] = set()

    def tell(self, owner: str, budgets: Budgets | None) -> None:
        """What the settings of a worker say; None when it leaves."""
        self.told.pop(owner, None)
        if budgets:
            self.told[owner] = budgets

    def budgets(self, said: Budgets, told: Iterable[Budgets] | None = None) -> dict[str, tuple[Budget, ...]]:
        """What people have said of a type goes before what workers bring."""
        merged: dict[str, tuple[Budget, ...]] = {}
        for budgets in (*(self.told.values() if told is None else told), said):
            merged |= budgets
        return {type: budgets for type, budgets in merged.items() if budgets}

    def count(self, said: Budgets, used: Iterable[Used]) -> bool:
        """Counts what attempts have used, and pauses the types whose budget that was; True where any has to be looked at."""
        budgets = self.budgets(said)
        for type, metrics in used:
            for budget in budgets.get(type, ()):
                if amount := metrics.get(budget.metric):
                    self.owed[type, budget.metric] = self.owed.get((type, budget.metric), 0.0) + amount
        for type, metric in list(self.owed):
            for budget in budgets.get(type, ()):
                if budget.metric == metric and self.add(type, budget):
                    self.to_settle.add(type)
        for type in (unsettled := list(self.to_settle)):
            self.settle(type, budgets.get(type, ()))
        return bool(unsettled)

    def add(self, type: str, budget: Budget) -> bool:
        """False where the file is locked by somebody else: what is owed stays owed."""
        key = f"{type} {budget.metric}"
        file = self.files.try_locked(self.files.file_name(key))
        if file is None:
            return False
        try:
            since, _ = period_of(budget.per, self.clock.now())
            owed = self.owed.pop((type, budget.metric), 0.0)
            known = read_tally(file)
            spent = (
                known.spent + owed if known is not None and known.since == since else self.recount(type, budget.metric, since)
            )
            files.step("budget")
            data = msgspec.json.encode(Tally(key, since, spent)) + b"\n"
            os.pwrite(file, data, 0)
            os.ftruncate(file, len(data))
        finally:
            os.close(file)
        return True

    def settle(self, type: str, budgets: Iterable[Budget]) -> None:
        now = self.clock.now()
        spending = [self.spent(type, budget) for budget in budgets]
        control = self.ruling.read()
        if settle(control, type, spending, now) == control or self.ruling.try_change(
            lambda control: settle(control, type, spending, now)
        ):
            self.to_settle.discard(type)

    def spent(self, type: str, budget: Budget) -> Spent:
        """What was used in the period that runs now."""
        since, until = period_of(budget.per, self.clock.now())
        name = self.files.file_name(f"{type} {budget.metric}")
        try:
            known = decode_tally(files.read_small(self.files.folder, name, LARGEST))
        except OSError:
            known = None
        spent = known.spent if known is not None and known.since == since else self.recount(type, budget.metric, since)
        return Spent(type=type, budget=budget, spent=spent, since=since, until=until)

    def recount(self, type: str, metric: str, since: datetime) -> float:
        return sum(entry.metrics.get(metric, 0.0) for entry in self.journal.attempts(since) if entry.type == type)


def read_tally(file: int) -> Tally | None:
    return decode_tally(os.pread(file, LARGEST, 0))


def decode_tally(data: bytes) -> Tally | None:
    try:
        return msgspec.json.decode(data, type=Tally)
    except UNREADABLE:
        return None

"""What bounds the jobs of a folder, under one roof: limits, concurrency keys and budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobqueue.model.budget import Spent
from jobqueue.model.clock import Clock
from jobqueue.model.limit import Limit
from jobqueue.model.transition import Transition
from jobqueue.store.arrivals import Arrivals
from jobqueue.store.base import Claim, WorkerInfo
from jobqueue.store.budgeting import Budgeting
from jobqueue.store.conflicts import Cancel, Conflicts
from jobqueue.store.folder import Folder
from jobqueue.store.journal import Journal
from jobqueue.store.keys import key_file_name
from jobqueue.store.limiting import Limiting
from jobqueue.store.locks import Locks
from jobqueue.store.reading import Reading
from jobqueue.store.ruling import Ruling


class Bounds:
    """`workers` are the live ones of all processes; `cancel` is what supersedes a job."""

    def __init__(
        self,
        folder: Folder,
        locks: Locks,
        reading: Reading,
        ruling: Ruling,
        journal: Journal,
        arrivals: Arrivals,
        clock: Clock,
        workers: Callable[[], Sequence[WorkerInfo]],
        cancel: Cancel,
    ) -> None:
        self.limiting = Limiting(folder, locks)
        self.conflicts = Conflicts(folder, reading, self.limiting, cancel)
        self.budgeting = Budgeting(folder.fds["limits"], ruling, journal, clock)
        self.ruling = ruling
        self.arrivals = arrivals
        self.workers = workers

    def tell(self, owner: str, info: WorkerInfo | None) -> None:
        """What a worker of this process brings with it; None when it leaves."""
        self.limiting.tell(owner, None if info is None else info.limits)
        self.budgeting.tell(owner, None if info is None else info.budgets)

    def ended(self, outcomes: Sequence[tuple[Claim, Transition]]) -> None:
        """Places are free again, and budgets have been used; nearly always there is nothing to tell."""
        if freed := {limit for claim, _ in outcomes for limit in claim.limits}:
            self.arrivals.free([key_file_name(limit) for limit in freed])
        said = self.ruling.known.budgets
        if said or self.budgeting.told:
            ended = (transition for _, transition in outcomes)
            used = [(end.job.type, end.attempt.metrics) for end in ended if end.attempt is not None]
            self.arrivals.rang |= self.budgeting.count(said, used)

    def limits(self) -> dict[str, Limit]:
        return dict(self.limiting.merged(self.ruling.read().limits, [info.limits for info in self.workers()]))

    def spent(self) -> list[Spent]:
        budgets = self.budgeting.budgets(self.ruling.read().budgets, [info.budgets for info in self.workers()])
        return [self.budgeting.spent(type, budget) for type in sorted(budgets) for budget in budgets[type]]

    def sweep(self) -> int:
        return self.limiting.sweep() + self.conflicts.sweep()

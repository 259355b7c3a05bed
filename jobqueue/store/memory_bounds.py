"""Limits, concurrency keys and budgets of a queue in memory: simply counted from what is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from jobqueue.model.budget import Spent, period_of, settle
from jobqueue.model.control import Control
from jobqueue.model.gate import RUN, Verdict, judge_limit
from jobqueue.model.job import Job
from jobqueue.model.limit import KEY, MOST_STARTS, Budget, Limit, Rules, limits_on, merge
from jobqueue.model.status import Status
from jobqueue.store.base import Claim, Located, WorkerInfo
from jobqueue.store.memory_journal import MemoryJournal


class MemoryBounds:
    """Over the collections of its store, which guards them. `claims` holds those of dead workers too, until the rescue."""

    def __init__(
        self,
        jobs: Mapping[str, Located],
        claims: Mapping[int, Claim],
        workers: Mapping[str, WorkerInfo],
        journal: MemoryJournal,
    ) -> None:
        self.jobs = jobs
        self.claims = claims
        self.workers = workers
        self.journal = journal
        self.starts: dict[str, list[float]] = {}

    def live(self) -> Iterable[WorkerInfo]:
        return (info for info in self.workers.values() if info.alive)

    def limits(self, said: Rules) -> dict[str, Limit]:
        told: Rules = {}
        for info in self.live():
            told = merge(info.limits, told)
        return merge(said, told)

    def judge(self, job: Job, said: Rules, now: datetime) -> Verdict:
        for name, limit in limits_on(job, self.limits(said)).items():
            verdict = judge_limit(name, limit, self.running(name), self.starts.get(name, ()), now)
            if verdict.action != "run":
                return verdict
        return RUN

    def running(self, name: str) -> list[str]:
        """The ids of the running jobs under a limit, in the order of their starts."""
        live = (claim.job for claim in self.claims.values() if self.workers[claim.owner].alive)
        return [job.id for job in live if name in limits_on(job, {name: Limit()})]

    def started(self, job: Job, said: Rules, now: datetime) -> None:
        for name, limit in limits_on(job, self.limits(said)).items():
            if limit.rate is not None:
                self.starts[name] = [*self.starts.get(name, ()), now.timestamp()][-MOST_STARTS:]

    # -- concurrency keys

    def rivals(self, key: str | None) -> list[Located]:
        """The unfinished jobs with a key: those that run, then those that wait, the newest first."""
        if key is None:
            return []
        found = [located for located in self.jobs.values() if located.job.concurrency_key == key]
        waiting = [located for located in reversed(found) if located.status is Status.PENDING]
        return [self.jobs[id] for id in self.running(KEY + key)] + waiting

    # -- budgets

    def budgets(self, control: Control) -> dict[str, tuple[Budget, ...]]:
        merged: dict[str, tuple[Budget, ...]] = {}
        for brought in (*(info.budgets for info in self.live()), control.budgets):
            merged |= brought
        return {type: budgets for type, budgets in merged.items() if budgets}

    def spent(self, control: Control, now: datetime, among: Collection[str] | None = None) -> list[Spent]:
        budgets = self.budgets(control)
        return [
            self.spent_of(type, one, now) for type in sorted(budgets) if not among or type in among for one in budgets[type]
        ]

    def spent_of(self, type: str, budget: Budget, now: datetime) -> Spent:
        since, until = period_of(budget.per, now)
        used = (entry.metrics.get(budget.metric, 0.0) for entry in self.journal.attempts(since) if entry.type == type)
        return Spent(type=type, budget=budget, spent=sum(used), since=since, until=until)

    def settled(self, control: Control, type: str, now: datetime) -> Control:
        """What was told, with the type paused once its budget is spent."""
        return settle(control, type, self.spent(control, now, (type,)), now) if self.budgets(control) else control

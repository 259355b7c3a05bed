"""What a worker says of itself, and what follows from it for others."""

from __future__ import annotations

from datetime import datetime

import msgspec

from jobqueue.model.job import Job, Ran
from jobqueue.model.limit import Budget, Limit
from jobqueue.model.ran import ran_of
from jobqueue.model.retry import RetryPolicy


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker as others see it. `types` is None where it takes every type; `alive` is asked of the kernel, never stored."""

    owner: str
    host: str
    pid: int
    started_at: datetime
    types: tuple[str, ...] | None = None
    serves_all: bool = False
    concurrency: int = 1
    executor: str = "inline"
    policies: dict[str, RetryPolicy] = {}
    versions: dict[str, str] = {}
    codes: dict[str, str] = {}
    subjects: dict[str, str] = {}
    limits: dict[str, Limit] = {}
    budgets: dict[str, tuple[Budget, ...]] = {}
    handed_back: bool = False
    alive: bool = True

    def serves(self, type: str) -> bool:
        return self.types is None or type in self.types

    def ran(self, job: Job) -> Ran:
        """What ran in an attempt of this job, where the worker cannot say so itself any more."""
        return ran_of(job, self.versions.get(job.type), self.codes.get(job.type), self.subjects.get(job.type))

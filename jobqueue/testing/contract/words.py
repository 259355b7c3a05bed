"""The words in which the contract is written."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from jobqueue.model import transition
from jobqueue.model.control import Control, Pause
from jobqueue.model.entry import AttemptEntry
from jobqueue.model.job import Failure, Job
from jobqueue.model.names import ID, make_id
from jobqueue.model.status import Status
from jobqueue.model.transition import Run
from jobqueue.store.base import Claim, Put, Store, WorkerInfo
from jobqueue.testing.clock import FakeClock

PENDING, CLAIMED, DONE, FAILED = Status
SOON = timedelta(seconds=1)


class Words:
    """A store, a clock that stands still, and short names for what the tests do with them."""

    store: Store
    clock: FakeClock
    owner: str

    def make_store(self, tmp_path: Path, clock: FakeClock) -> Store:
        """A new, empty store, which may keep its files in `tmp_path`."""
        raise NotImplementedError

    def setup_method(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jobqueue-"))
        self.clock = FakeClock()
        self.numbers = count(1)
        self.store = self.make_store(self.folder, self.clock)
        self.owner = self.join("worker-1")

    def teardown_method(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def needs(self, feature: str) -> None:
        import pytest

        if feature not in self.store.features:
            pytest.skip(f"this store has no {feature!r}")

    def job(self, type: str = "scan", payload: dict[str, Any] | None = None, *, id: str = "", **fields: Any) -> Job:
        """A job as a queue would make it, a moment younger than the one before."""
        now = self.clock.advance(0.001)
        due = fields.get("run_after") or now
        made = make_id(fields.get("priority", 10), due, due > now, f"{next(self.numbers):08x}")
        return Job(id=id or made, type=type, payload=payload or {}, created_at=now, **fields)

    def put(self, *jobs: Job, force: bool = False) -> list[Put]:
        given = any(not ID.fullmatch(job.id) for job in jobs)
        return self.store.put(jobs, force=force, given_ids=given)

    def add(self, type: str = "scan", payload: dict[str, Any] | None = None, **fields: Any) -> str:
        """The id of a new pending job."""
        [put] = self.put(self.job(type, payload, **fields))
        assert put.outcome == "created"
        return put.located.job.id

    def reach(self, status: Status, type: str = "scan", **fields: Any) -> str:
        """The id of a job in this status; no other job may be ready to run."""
        id = self.add(type, **fields)
        if status is not PENDING:
            claim = self.claim()
            assert claim.job.id == id
            if status is DONE:
                assert self.complete(claim)
            elif status is FAILED:
                assert self.fail(claim, final=True)
        return id

    def join(self, name: str, **says: Any) -> str:
        return self.store.join(WorkerInfo(owner=name, host="here", pid=1, started_at=self.clock.now(), **says))

    def claim(self, owner: str | None = None) -> Claim:
        claims = self.store.claim(owner or self.owner)
        assert claims, "nothing may run now"
        return claims[0]

    def claim_all(self, types: set[str] | None = None) -> list[str]:
        """The ids of all jobs that may run now, in the order in which they are handed out."""
        return [claim.job.id for claim in self.store.claim(self.owner, limit=100, types=types)]

    def claim_of_a_dead_worker(self) -> Claim:
        self.add()
        claim = self.claim(self.join("worker-dead"))
        self.store.leave(claim.owner)
        assert self.store.rescue() == [claim.job.id]
        return claim

    def run(self, claim: Claim) -> Run:
        """The attempt took a second."""
        return Run(claim.owner, claim.claimed_at, self.clock.advance("1s"))

    def complete(self, claim: Claim, result: Any = None) -> bool:
        return self.store.apply([(claim, transition.complete(claim.job, result, self.run(claim)))])[0]

    def fail(self, claim: Claim, message: str = "boom", **how: Any) -> bool:
        error = Failure(type="ValueError", message=message)
        return self.store.apply([(claim, transition.fail(claim.job, error, self.run(claim), **how))])[0]

    def status(self, id: str) -> Status:
        return self.store.get(id).status

    def stored(self, id: str) -> Job:
        return self.store.get(id).job

    def reason(self, id: str) -> str:
        """Why a job failed, in one word."""
        located = self.store.get(id)
        assert located.status is FAILED
        assert located.job.error is not None
        return located.job.error.reason

    def journal(self) -> list[AttemptEntry]:
        return list(self.store.attempts())

    def listed(self, **how: Any) -> list[str]:
        return [located.job.id for located in self.store.scan(**how).items]

    def pause(self, *types: str) -> None:
        pause = Pause(by="ann", at=self.clock.now(), reason="disk full")
        self.store.set_control(Control(paused_types=dict.fromkeys(types, pause)) if types else Control(paused=pause))


def said(job: Job) -> dict[str, Any]:
    """What a job says, without what a store notes for itself."""
    fields = msgspec.structs.asdict(job)
    return {name: fields[name] for name in fields if name not in ("written_by", "updated_at")}


def together(work: Callable[[int], object], number: int) -> None:
    """Runs `work(0)`, `work(1)`, ... at the same moment and raises what one of them raised."""
    start = threading.Barrier(number)
    problems: list[BaseException] = []

    def run(n: int) -> None:
        try:
            start.wait()
            work(n)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]

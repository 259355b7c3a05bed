"""Where jobs are, asked without reading them; and jobs that finished elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from jobqueue.model.job import Failure, Job
from jobqueue.testing.contract.words import CLAIMED, DONE, FAILED, PENDING, Words


class Places(Words):
    def test_where_follows_a_job_and_knows_no_other(self) -> None:
        id = self.add()
        assert self.store.where(id) is PENDING
        claim = self.claim()
        assert self.store.where(id) is CLAIMED
        self.complete(claim)
        assert self.store.where(id) is DONE
        self.store.purge([id])
        assert (self.store.where(id), self.store.where("no/such"), self.store.where("")) == (None, None, None)

    def test_what_an_owner_holds_is_found_by_its_name(self) -> None:
        id, _ = self.add(), self.add()
        claim = self.claim()
        (held,) = self.store.held(claim.owner)
        assert (held.job.id, held.status, held.owner, held.job.attempts) == (id, CLAIMED, claim.owner, 1)
        assert self.store.held("nobody") == []
        self.complete(claim)
        assert self.store.held(claim.owner) == []

    def test_what_the_dead_hold_is_stalled_until_somebody_takes_it_back(self) -> None:
        self.add()
        claim = self.claim(self.join("worker-2"))
        assert self.store.stalled() == 0
        self.store.leave(claim.owner)
        assert self.store.stalled() == 1
        self.store.rescue()
        assert self.store.stalled() == 0

    @pytest.mark.parametrize("status", [DONE, FAILED])
    def test_a_job_that_finished_elsewhere_is_taken_as_it_is(self, status: object) -> None:
        now = self.clock.now()
        error = Failure(message="no luck") if status is FAILED else None
        job = Job(id="elsewhere", type="scan", attempts=2, error=error, created_at=now, written_by="elsewhere")
        job = replace(job, finished_at=now + timedelta(seconds=1))

        assert self.store.adopt(job, FAILED if error else DONE).job == job

        found = self.store.get("elsewhere")
        assert (found.status, found.job) == (status, job)
        with pytest.raises(FileExistsError):
            self.store.adopt(job, DONE)
        assert self.store.retry(["elsewhere"])[0].outcome == "changed"
        assert self.status("elsewhere") is PENDING

"""A real spool folder, two workers and the clock, beside the reference; and what must hold after every step."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

from jobqueue.model.job import Failure
from jobqueue.model.transition import Run, Transition, complete, fail, release, snooze
from jobqueue.queue.making import Making
from jobqueue.store import check as checking
from jobqueue.store.base import Claim, WorkerInfo
from jobqueue.store.spool import Spool
from jobqueue.testing import FakeClock

from .stateful_reference import FOLDERS, Known, Reference

SAID_OFTEN = 500
"""So often a claim is asked again before a job counts as one that nobody hands out; far more than is ever needed."""


class World:
    """Two Spool objects stand for two processes; each has one worker at most."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "q"
        self.clock = FakeClock()
        self.spools = [self.open(), self.open()]
        self.owners = ["", ""]
        self.held: list[dict[int, Claim]] = [{}, {}]
        self.making = Making(self.clock, lambda id: None)
        self.ref = Reference()
        self.number = 0

    def open(self) -> Spool:
        return Spool(self.path, clock=self.clock, durability="relaxed", settle_time=0)

    def close(self) -> None:
        for spool in self.spools:
            spool.close()
        rmtree(self.folder)

    def tick(self) -> None:
        """No two steps happen at the same time: attempts are told apart by when they began."""
        self.clock.advance(timedelta(microseconds=10))

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def join(self, which: int) -> None:
        if not self.owners[which]:
            info = WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=self.clock.now())
            self.owners[which] = self.spools[which].join(info)

    def run(self, which: int, claim: Claim) -> Run:
        return Run(self.owners[which], claim.claimed_at, self.clock.now())

    def decide(self, which: int, claim: Claim, outcome: str, wait: timedelta) -> Transition:
        run = self.run(which, claim)
        if outcome == "done":
            return complete(claim.job, {"n": claim.job.payload["n"]}, run)
        if outcome == "snoozed":
            return snooze(claim.job, self.clock.now() + wait, run)
        if outcome == "released":
            return release(claim.job, run)
        return fail(claim.job, Failure(message="no"), run, delay=wait, final=outcome == "final")

    def tell(self, *names: str) -> None:
        """What the kernel's events tell each process of a move or an edit by hand."""
        for spool in self.spools:
            for name in names:
                spool.claiming.events.put(name)

    def write(self, name: str, data: bytes) -> None:
        temporary = self.folder / "new"
        temporary.write_bytes(data)
        temporary.chmod(0o600)
        temporary.rename(self.path / "pending" / name)
        self.tell(name)

    def save_in_place(self, job: Known, record: dict[str, Any]) -> None:
        """As an editor does that opens the file and writes over it."""
        with (self.path / "pending" / f"{job.id}.json").open("r+b", buffering=0) as file:
            file.write(json.dumps(record).encode())
            file.truncate()
        self.tell(f"{job.id}.json")

    def pull_out(self, job: Known) -> bool:
        """`mv claimed/<owner>/x.json pending/`, under the worker's hands; whether the worker could still finish it."""
        which = next(number for number, held in enumerate(self.held) if job.number in held)
        claim = self.held[which].pop(job.number)
        (self.path / "claimed" / claim.token[0] / claim.token[1]).rename(self.path / "pending" / f"{job.id}.json")
        self.tell(f"{job.id}.json")
        assert self.spools[which].extend(self.owners[which], [claim]) == {claim.job.id: "lost"}
        return self.spools[which].apply([(claim, self.decide(which, claim, "done", timedelta(0)))])[0]

    # -- claiming

    def claim(self, which: int, limit: int) -> None:
        """Claims; where the reference has jobs that are ready, they must come, and in the order of their names."""
        spool, owner = self.spools[which], self.owners[which]
        found: list[Claim] = []
        ready = self.ref.ready(self.clock.now())
        for _ in range(SAID_OFTEN):
            spool.wake()
            found += spool.claim(owner, limit=limit - len(found))
            if len(found) >= min(limit, len(ready)):
                break
            time.sleep(0.001)  # a listing is not repeated at once
        assert len(found) >= min(limit, len(ready)), f"nobody hands out {[job.id for job in ready]}"
        for claim in found:
            job = self.ref.jobs[claim.job.payload["n"]]
            assert self.ref.verdict(job, self.clock.now()) == "run", f"{job} must not run now"
            assert (claim.job.attempts, outcomes(claim.job.history)) == job.reopened()
            self.ref.claimed(job, owner)
            self.held[which][job.number] = claim
        self.see_endings()

    def see_endings(self) -> None:
        """A claim moves away, now or at a later one, what will never run: the reference sees which."""
        for job in self.ref.of("pending"):
            gone = not (self.path / "pending" / f"{job.id}.json").exists()
            if gone and job.broken:
                assert (self.path / "failed" / f"{job.id}.reason").exists()
                job.status = "failed"
            elif gone:
                verdict = self.ref.verdict(job, self.clock.now())
                assert verdict in ("end", "cancel"), f"{job} has gone"
                self.ref.end(job, "failed" if verdict == "end" else "cancelled")

    # -- what must hold

    def files(self) -> dict[int, list[tuple[str, str, dict[str, Any] | None]]]:
        """Every job file by the number in it: folder, id, and its contents (None where it is broken by intent)."""
        found: dict[int, list[tuple[str, str, dict[str, Any] | None]]] = {}
        roots = {**{name: self.path / name for name in FOLDERS}, "trash": self.path / ".jobqueue" / "trash"}
        for status, root in roots.items():
            for folder, _, names in os.walk(root):
                for name in names:
                    if name.endswith(".json"):
                        text = (Path(folder) / name).read_text()
                        broken = text.startswith("broken ")
                        record = None if broken else json.loads(text)
                        number = int(text.split()[1]) if record is None else record["payload"]["n"]
                        found.setdefault(number, []).append((status, name.removesuffix(".json"), record))
        return found

    def check(self) -> None:
        found = self.files()
        assert found.keys() == self.ref.jobs.keys(), "a job is lost, or came from nowhere"
        for number, copies in found.items():
            job = self.ref.jobs[number]
            assert len(copies) == 1, f"{job} is in two places: {copies}"
            (status, id, record) = copies[0]
            assert (status, id) == (job.status, job.id)
            if record is not None:
                assert body(record) == job.body(), job
                assert record["payload"]["words"] == "x" * 50, "torn"
        self.check_answers()

    def check_answers(self) -> None:
        """What the spool says of itself."""
        spool = self.spools[0]
        statuses = Counter(job.status for job in self.ref.jobs.values())
        assert {status.value: number for status, number in spool.counts().items()} == {name: statuses[name] for name in FOLDERS}
        listed = {(located.job.id, located.status.value) for located in spool.scan(limit=None).items}
        assert listed == {(job.id, job.status) for job in self.ref.of(*FOLDERS)}
        lines = Counter((attempt.job, attempt.number, attempt.outcome) for attempt in spool.attempts())
        assert lines == Counter(self.ref.journal)
        lines_of = (file.read_text().splitlines() for file in (self.path / ".jobqueue" / "journal").iterdir())
        written = [line for lines in lines_of for line in lines if "what" not in json.loads(line)]
        assert len(written) == len(self.ref.journal), "an attempt stands twice in the journal"
        assert os.listdir(self.path / ".jobqueue" / "tmp") == []
        assert [str(finding) for finding in checking.check(spool) if finding.level != "ok"] == []

    def save(self, job: Known, record: dict[str, Any]) -> None:
        self.write(f"{job.id}.json", json.dumps(record).encode())


def outcomes(history: Any) -> tuple[str, ...]:
    return tuple(attempt.outcome for attempt in history)


def body(record: dict[str, Any]) -> tuple[int, tuple[str, ...], bool]:
    """What a file says of what has happened: attempts, the outcomes in its history, whether it carries an outcome."""
    history = tuple(attempt["outcome"] for attempt in record.get("history", []))
    return (record.get("attempts", 0), history, record.get("finished_at") is not None)

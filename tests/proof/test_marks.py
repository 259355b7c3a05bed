"""A cancel that was answered with `cancelling` is never forgotten, also when the job's dead owner is being rescued."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue.model.job import Job
from jobqueue.model.transition import Run, complete
from jobqueue.store import verbs
from jobqueue.store.base import Change, Claim, WorkerInfo
from jobqueue.store.moving import Outcome
from jobqueue.store.spool import Spool


def info() -> WorkerInfo:
    return WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=datetime.now(timezone.utc))


def with_a_claim(path: Path) -> tuple[Spool, str, Claim]:
    spool = Spool(path, durability="relaxed")
    spool.put([Job(id="a", type="scan", created_at=datetime.now(timezone.utc))], given_ids=True)
    owner = spool.join(info())
    (claim,) = spool.claim(owner)
    return spool, owner, claim


def test_a_cancel_during_a_rescue_still_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is made after the rescuer looked for it and before the job has moved back to pending/."""
    spool = Spool(tmp_path / "q", durability="relaxed")
    spool.put([Job(id="a", type="scan", created_at=datetime.now(timezone.utc))], given_ids=True)
    owner = spool.join(info())
    assert len(spool.claim(owner)) == 1
    spool.locks.release(owner)
    answers: list[str] = []
    original = spool.moving.carry_out

    def carry_out(*arguments: Any) -> Any:
        monkeypatch.setattr(spool.moving, "carry_out", original)  # the cancel moves files too
        answers.append(spool.cancel(["a"])[0].outcome)
        return original(*arguments)

    monkeypatch.setattr(spool.moving, "carry_out", carry_out)
    assert spool.rescue() == ["a"]
    assert answers == ["cancelling"]
    assert spool.claim(spool.join(info())) == []
    assert spool.get("a").job.cancelled
    spool.close()


def test_a_cancel_that_comes_after_the_end_stands_in_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has taken marks away and has not moved the job yet: who marks it now sees its end, and leaves no mark."""
    spool, owner, claim = with_a_claim(tmp_path / "q")
    changes: list[Change] = []
    original = spool.moving.publish

    def publish(outcome: Outcome) -> str | None:
        changes.extend(spool.cancel(["a"]))
        return original(outcome)

    monkeypatch.setattr(spool.moving, "publish", publish)
    monkeypatch.setattr(verbs, "PATIENCE", 0.01)
    assert spool.apply([(claim, complete(claim.job, 1, Run(owner, claim.claimed_at, claim.claimed_at)))]) == [True]
    assert [(change.outcome, change.why) for change in changes] == [("refused", "a is done and cannot be cancelled")]
    assert os.listdir(tmp_path / "q" / ".jobqueue" / "cancel") == []
    spool.close()


def test_a_mark_that_the_end_of_an_earlier_round_took_along_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends, is retried and claimed between the mark and the look: what is seen is a round that has no mark."""
    spool, owner, claim = with_a_claim(tmp_path / "q")
    original = spool.moving.mark_cancel

    def mark(name: str, message: str) -> None:
        original(name, message)
        monkeypatch.setattr(spool.moving, "mark_cancel", original)
        spool.apply([(claim, complete(claim.job, 1, Run(owner, claim.claimed_at, claim.claimed_at)))])
        spool.retry(["a"])
        assert len(spool.claim(owner)) == 1

    monkeypatch.setattr(spool.moving, "mark_cancel", mark)
    assert spool.cancel(["a"])[0].outcome == "cancelling"
    assert os.listdir(tmp_path / "q" / ".jobqueue" / "cancel") == ["a.json"]
    spool.close()


def test_a_refused_cancel_takes_nobody_elses_mark_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It saw the job done; by now that was retried and claimed, and another has been told that it is asked to stop."""
    spool, owner, claim = with_a_claim(tmp_path / "q")
    look, answers = spool.verbs.look, []

    def look_once(id: str) -> Any:
        monkeypatch.setattr(spool.verbs, "look", look)
        spool.apply([(claim, complete(claim.job, 1, Run(owner, claim.claimed_at, claim.claimed_at)))])
        located = look(id)
        spool.retry(["a"])
        assert len(spool.claim(owner)) == 1
        answers.append(spool.cancel(["a"])[0].outcome)
        return located

    monkeypatch.setattr(spool.verbs, "look", look_once)
    spool.cancel(["a"])
    assert answers == ["cancelling"]
    assert os.listdir(tmp_path / "q" / ".jobqueue" / "cancel") == ["a.json"]
    spool.close()

"""What the dashboard reads: the same as the queue says, from memory where nothing moved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.model.status import Status
from jobqueue.panels.glance import Glancing

from .conftest import extract, scan


@pytest.fixture
def glancing(filled: Queue) -> Iterator[Glancing]:
    made = Glancing(filled)
    yield made
    made.close()


def shown(glancing: Glancing, status: Status) -> list[str]:
    return [located.job.id for located in glancing.look().lists[status]]


def test_up_next_is_the_order_of_the_queue(filled: Queue, glancing: Glancing) -> None:
    for number, priority in enumerate((30, 0, 10, 10)):
        body = json.dumps({"type": "scan", "payload": {}, "priority": priority})
        Path(filled.store.url, "pending", f"dropped{number}.json").write_text(body)
        filled.with_options(priority=priority).enqueue("scan", {"n": number})
    assert shown(glancing, Status.PENDING) == [job.id for job in filled.jobs("pending")]


def test_each_list_is_what_the_queue_says(filled: Queue, glancing: Glancing) -> None:
    glance = glancing.look()
    for status in Status:
        assert glance.counts[status] == filled.jobs(status).total
    assert {located.job.id for located in glance.lists[Status.DONE]} == {job.id for job in filled.jobs("done")}


def test_what_has_not_moved_is_not_read_again(filled: Queue, glancing: Glancing, monkeypatch: pytest.MonkeyPatch) -> None:
    glancing.look()
    monkeypatch.setattr(filled.store, "get", lambda id: pytest.fail(f"{id} is read again"))
    glancing.look()


def test_what_was_retried_and_failed_again_is_read_again(filled: Queue, glancing: Glancing) -> None:
    """It may have left and come back between two looks."""
    id = shown(glancing, Status.FAILED)[0]
    before = filled.get(id).record.history
    filled.retry([id])
    filled.drain([extract], progress=False)
    located = next(one for one in glancing.look().lists[Status.FAILED] if one.job.id == id)
    assert len(located.job.history) > len(before)


def test_the_last_to_end_comes_first(filled: Queue, glancing: Glancing) -> None:
    glancing.look()
    job = filled.with_options(priority="low").enqueue("scan", {"repo": "z"})
    filled.drain([scan], progress=False)
    assert shown(glancing, Status.DONE)[0] == job.id

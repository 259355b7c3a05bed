"""Done work of which the code has changed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, Worker, analytics, handler
from jobqueue.errors import HandlerError, InvalidJob
from jobqueue.store.base import WorkerInfo

warnings.simplefilter("ignore")


def cards_at(version: str | None) -> Any:
    @handler(type="cards", pipeline_version=version, subject="sha")
    def cards(sha: str) -> str:
        return sha

    return cards


@handler(type="cards", subject="sha")
def cards_anew(sha: str) -> str:
    return sha.upper()


@pytest.fixture(params=["folder", "memory"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    made = Queue(":memory:" if request.param == "memory" else tmp_path / "q", durability="relaxed")
    yield made
    made.store.close()


def run(queue: Queue, function: Any, *shas: str, **options: Any) -> None:
    for sha in shas:
        queue.enqueue("cards", {"sha": sha}, **options)
    Worker(queue, [function]).run(drain=True)


def test_work_of_another_version_is_stale_and_can_be_run_again(queue: Queue) -> None:
    run(queue, cards_at("v1"), "a", "b", "c", project="p")
    run(queue, cards_at("v2"), "d")
    new = cards_at("v2")
    found = analytics.stale(queue, new)
    assert list(found["subject"]) == ["a", "b", "c"]
    assert set(found["version"]) == {"v1"}
    assert set(found["current"]) == {"v2"}
    assert set(found["project"]) == {"p"}
    queue.purge([found["id"].iloc[0]])
    assert len(queue.retry(analytics.stale(queue, "cards", new)["id"])) == 2
    Worker(queue, [new]).run(drain=True)
    assert len(analytics.stale(queue, new)) == 0
    assert list(analytics.stale(queue, cards_at("v1"))["subject"]) == ["d", "b", "c"]


def test_without_a_version_the_source_tells(queue: Queue) -> None:
    run(queue, cards_at(None), "a")
    run(queue, cards_at(None), "b", pipeline_version="of-the-job")
    assert len(analytics.stale(queue, cards_at(None))) == 0  # the same source, whatever the job said of itself
    assert list(analytics.stale(queue, cards_anew)["subject"]) == ["a", "b"]


def test_what_the_live_workers_run_is_current(queue: Queue) -> None:
    run(queue, cards_at("v1"), "a")
    run(queue, cards_at("v2"), "b")
    run(queue, cards_at("v3"), "c")
    with pytest.raises(InvalidJob, match="no live worker serves the type 'cards'.*or give the handler"):
        analytics.stale(queue, "cards")
    owners = [join(queue, {"cards": "v2"}), join(queue, {"cards": "v3"}), join(queue, {"mail": "v1"})]
    found = analytics.stale(queue, "cards")
    assert list(found["subject"]) == ["a"]
    assert list(found["current"]) == ["v2, v3"]
    for owner in owners:
        queue.store.leave(owner)


def join(queue: Queue, versions: dict[str, str]) -> str:
    started = datetime.now(timezone.utc)
    info = WorkerInfo(owner="", host="here", pid=1, started_at=started, types=tuple(versions), versions=versions)
    return queue.store.join(info)


def test_a_job_that_is_no_longer_done_is_not_stale(queue: Queue) -> None:
    run(queue, cards_at("v1"), "a", "b")
    queue.retry([queue.last("cards").id])
    assert len(analytics.stale(queue, cards_at("v2"))) == 1


def test_nothing_and_nonsense(queue: Queue) -> None:
    found = analytics.stale(queue, cards_at("v1"))
    assert (len(found), list(found.columns)[:3]) == (0, ["id", "type", "subject"])
    with pytest.raises(HandlerError, match="not a handler"):
        analytics.stale(queue, len)

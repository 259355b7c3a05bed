"""`ctx.track(once=True)`: what a job of the type has done at this version is left out, unless somebody insists."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import JobContext, Queue, handler
from jobqueue.errors import InvalidJob
from jobqueue.queue.config import Config
from jobqueue.testing import drain

HANDLERS = """
import os, signal
from jobqueue import JobContext, constant, handler

@handler(pipeline_version="VERSION", retry=constant(0, attempts=2))
def cards(rows, seen, die_at, ctx: JobContext):
    for row in ctx.track(rows, key="sha", once=True):
        with open(seen, "a") as file:
            file.write(row["sha"] + " ")
        if row["sha"] == die_at and ctx.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
"""
SEEN: list[Any] = []


def rows(*shas: Any) -> list[dict[str, Any]]:
    return [{"sha": sha} for sha in shas]


def versioned(version: str | None) -> Callable[..., Any]:
    @handler("cards", pipeline_version=version)
    def cards(rows: list[dict[str, Any]], ctx: JobContext, fail: bool = False) -> None:
        for row in ctx.track(rows, key="sha", once=True):
            SEEN.append(row["sha"])
        if fail:
            raise ValueError("no")

    return cards


@pytest.fixture(params=["folder", "memory"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    place = tmp_path / "q" if request.param == "folder" else ":memory:"
    with Queue(place, config=Config(durability="relaxed")) as made:
        yield made


def run(queue: Queue, *shas: Any, version: str | None = "v1", fail: bool = False, **options: Any) -> list[Any]:
    """What a new job over these rows has worked on."""
    SEEN.clear()
    queue.enqueue("cards", {"rows": rows(*shas), "fail": fail}, max_attempts=1, **options)
    drain(queue, [versioned(version)])
    return SEEN[:]


def test_what_is_done_is_left_out_and_what_is_new_is_not(queue: Queue) -> None:
    assert run(queue, "a", "b") == ["a", "b"]
    assert run(queue, "a", "b", "c") == ["c"]
    assert run(queue, "b", "c") == []


def test_with_force_all_are_done_again(queue: Queue) -> None:
    run(queue, "a", "b")
    assert run(queue, "a", "b", force=True) == ["a", "b"]
    assert queue.last("cards").record.force is True


def test_another_version_does_them_again_and_the_first_one_remembers(queue: Queue) -> None:
    run(queue, "a")
    assert run(queue, "a", version="v2") == ["a"]
    assert run(queue, "a") == []


def test_without_a_version_the_source_decides(queue: Queue) -> None:
    assert run(queue, "a", version=None) == ["a"]
    assert run(queue, "a", version=None) == []

    @handler("cards")
    def changed(rows: list[dict[str, Any]], ctx: JobContext, fail: bool = False) -> None:
        for row in ctx.track(rows, key="sha", once=True):
            SEEN.append(("changed", row["sha"]))

    queue.enqueue("cards", {"rows": rows("a")})
    drain(queue, [changed])
    assert SEEN == [("changed", "a")]


def test_the_items_of_a_failed_job_are_done_too_and_a_purge_changes_nothing(queue: Queue) -> None:
    run(queue, "a", "b", fail=True)
    run(queue, "c")
    queue.purge(status=("done", "failed"))
    assert run(queue, "a", "b", "c", "d") == ["d"]


def test_jobs_that_follow_each_other_closely_see_each_other(queue: Queue) -> None:
    """In one worker, the second begins before the outcome of the first would have been stored with others."""
    SEEN.clear()
    queue.enqueue_many("cards", [{"rows": rows("a", "b")} for _ in range(5)])
    drain(queue, [versioned("v1")])
    assert SEEN == ["a", "b"]


def test_progress_counts_what_is_left_out(queue: Queue) -> None:
    run(queue, "a", "b")
    run(queue, "a", "b", "c")
    progress = queue.last("cards").progress
    assert progress is not None
    assert (progress.done, progress.total, progress.percent) == (3, 3, 100.0)


def test_numbers_are_keys_too(queue: Queue) -> None:
    assert run(queue, 1, 2) == [1, 2]
    assert run(queue, 1, "2", 3) == [3]
    assert queue.processed("cards", [1, 3, 4]) == {1, 3}


def test_it_needs_a_key(queue: Queue) -> None:
    context = JobContext(queue.enqueue("cards").record, 1)
    with pytest.raises(InvalidJob, match="once: needs a key"):
        list(context.track([1, 2], once=True))


def test_by_hand_nothing_is_left_out(queue: Queue) -> None:
    run(queue, "a")
    context = JobContext(queue.last("cards").record, 1)
    assert list(context.track(rows("a"), key="sha", once=True)) == rows("a")


def test_a_queue_tells_what_is_done(queue: Queue) -> None:
    assert queue.processed("cards", ["a"]) == set()
    run(queue, "a", "b")
    run(queue, "b", version="v2")
    assert queue.processed("cards", ["a", "b", "c"]) == {"b"}  # at the version of the latest attempt
    assert queue.processed("cards", ["a", "b", "c"], "v1") == {"a", "b"}
    assert queue.processed(versioned("v9"), ["a"], version="v1") == {"a"}
    assert queue.processed("cards", ["a"], "v1", track="others") == set()
    assert queue.processed("mails", ["a"]) == set()


def test_a_live_worker_says_which_version_is_meant(queue: Queue) -> None:
    from jobqueue.worker.worker import Worker

    run(queue, "a")
    assert queue.processed("cards", ["a"]) == {"a"}
    with Worker(queue, [versioned("v2")]):
        assert queue.processed("cards", ["a"]) == set()


@pytest.mark.parametrize("executor", ["process", "inline"])
def test_what_was_done_before_a_death_stays_done(tmp_path: Path, executor: str) -> None:
    """The child (or the worker) is killed at the third item; neither its next attempt nor another job does the first two."""
    (tmp_path / "handlers.py").write_text(HANDLERS.replace("VERSION", "v1"))
    seen = tmp_path / "seen"
    with Queue(tmp_path / "q", config=Config(durability="relaxed")) as queue:
        payload = {"rows": rows("a", "b", "c", "d"), "seen": str(seen), "die_at": "c"}
        queue.enqueue("cards", payload)
        command = [sys.executable, "-m", "jobqueue.worker", "--queue", str(tmp_path / "q"), "--handlers", "handlers.py"]
        command += ["--drain", "--log-level", "error", "--executor", executor]
        first = subprocess.run(command, cwd=tmp_path, timeout=100)
        assert first.returncode == (-signal.SIGKILL if executor == "inline" else 0)
        queue.enqueue("cards", payload | {"die_at": ""})
        subprocess.run(command, cwd=tmp_path, timeout=100, check=True, env=os.environ.copy())

        assert seen.read_text().split() == ["a", "b", "c", "c", "d"]
        keys = [line for line in queue.store.journal_lines() if b'"what":"item"' in line]
        assert len(keys) == 4
        assert queue.processed("cards", "abcde") == set("abcd")

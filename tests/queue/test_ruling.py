"""What people tell a queue, and what the marks of handlers tell it: limits, keys, budgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import JobContext, Queue, Worker, handler
from jobqueue.errors import ConfigError, HandlerError, InvalidJob
from jobqueue.model.limit import Limit, Rate
from jobqueue.queue.config import Config, load_config
from jobqueue.testing import FakeClock

pytestmark = pytest.mark.filterwarnings("ignore::jobqueue.errors.NoWorkerWarning")


@handler(rate="30/m", concurrency=2, concurrency_key="{owner}/{repo}", on_conflict="reject")
def fetch(repo: str, owner: str = "octo") -> None: ...


@handler(concurrency_key="repo")
def scan(repo: str | None = None) -> None: ...


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> Iterator[Queue]:
    with Queue(":memory:", clock=clock, config=Config()) as queue:
        yield queue


def test_the_mark_fills_in_the_key_from_the_arguments_and_their_defaults(queue: Queue) -> None:
    job = queue.enqueue(fetch, repo="cat")

    assert (job.concurrency_key, job.record.on_conflict) == ("octo/cat", "reject")
    assert queue.enqueue(scan).concurrency_key is None
    assert queue.with_options(concurrency_key="mine").enqueue(fetch, repo="cat").concurrency_key == "mine"
    assert [job.concurrency_key for job in queue.enqueue_many(scan, [{"repo": "a"}, {"repo": "b"}])] == ["a", "b"]


def test_a_rejected_job_is_the_one_that_is_there(queue: Queue) -> None:
    first = queue.enqueue(fetch, repo="cat")

    again = queue.enqueue(fetch, repo="cat")

    assert (again, again.outcome, again.created) == (first, "rejected", False)
    assert again.conflict == f"Another process is running: {first.id}"
    assert again.conflict in repr(again)
    assert len(queue) == 1


def test_superseding_says_how_many_it_took_the_place_of(queue: Queue) -> None:
    old = [queue.enqueue(scan, repo="cat") for _ in range(2)]

    new = queue.with_options(on_conflict="supersede").enqueue(scan, repo="cat")

    assert (new.created, new.superseded) == (True, 2)
    assert [job.error and job.error.message for job in old] == [f"superseded by {new.id}"] * 2


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ({"rate": "30"}, "rate: "),
        ({"concurrency": 0}, "concurrency: "),
        ({"concurrency_key": "repos"}, "concurrency_key: 'repos' is not an argument of it"),
        ({"concurrency_key": "{owner}/{repo}"}, "concurrency_key: 'owner' is not an argument of it"),
        ({"on_conflict": "reject"}, "on_conflict: given without concurrency_key"),
        ({"concurrency_key": "repo", "on_conflict": "fight"}, "on_conflict: 'fight' is unknown"),
    ],
)
def test_a_wrong_mark_is_refused_where_it_is_made(mark: dict[str, Any], message: str) -> None:
    def pull(repo: str) -> None: ...

    with pytest.raises(HandlerError, match=f"^pull: {message}"):
        handler(**mark)(pull)


def test_a_conflict_needs_a_key(queue: Queue) -> None:
    with pytest.raises(InvalidJob, match="on_conflict: given without concurrency_key"):
        queue.enqueue("scan", on_conflict="reject")


def test_a_limit_is_said_changed_and_taken_back(queue: Queue) -> None:
    assert queue.limit("fetch", rate="30/m", concurrency=2) == Limit(rate=Rate(30, 60), concurrency=2)
    queue.limit(concurrency=8)
    assert queue.limit("fetch", rate=None) == Limit(concurrency=2)
    assert queue.limits() == {"fetch": Limit(concurrency=2), None: Limit(concurrency=8)}

    assert queue.limit("fetch", concurrency=None) == Limit()
    assert queue.limits() == {None: Limit(concurrency=8)}
    with pytest.raises(InvalidJob, match="^rate: "):
        queue.limit("fetch", rate="often")


def test_stats_tell_the_rate_of_the_whole_queue(queue: Queue) -> None:
    assert queue.stats().workers.requests_per_minute is None
    queue.limit("fetch", rate="5/s")
    assert queue.stats().workers.requests_per_minute is None
    queue.limit(rate="5/s")
    assert queue.stats().workers.requests_per_minute == 300


def test_settings_go_before_the_handler_and_what_was_said_before_both(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").write_text(
        'limits:\n  fetch: {concurrency: 3}\n  "*": 100/m\nbudgets:\n  fetch: {tokens: 5}\n'
    )
    with Queue(tmp_path / "q", config=load_config(tmp_path, {})) as queue:
        whole = Limit(rate=Rate(100, 60))
        assert queue.limits() == {"fetch": Limit(concurrency=3), None: whole}
        with Worker(queue, [fetch]):
            assert queue.limits() == {"fetch": Limit(concurrency=3, rate=Rate(30, 60)), None: whole}
            queue.limit("fetch", rate="7/s")
            assert queue.limits() == {"fetch": Limit(concurrency=3, rate=Rate(7, 1)), None: whole}
            [spent] = queue.budgets()["fetch"]
            assert (spent.budget.amount, spent.spent) == (5, 0)


def test_a_wrong_limit_in_the_settings_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "jobqueue.yaml").write_text("limits:\n  scan: 1/s\n  fetch:\n    rate: often\n")

    with pytest.raises(ConfigError, match=r"jobqueue\.yaml:4: limits\.fetch\.rate: 'often' is not a rate"):
        load_config(tmp_path, {})


def test_a_budget_pauses_its_type_until_it_is_raised_or_the_period_is_over(queue: Queue, clock: FakeClock) -> None:
    @handler(type="count")
    def count(ctx: JobContext) -> None:
        ctx.metric("tokens", 60)

    [spent] = queue.budget("count", tokens=100, per="day")
    assert (spent.spent, spent.left) == (0, 100)
    jobs = [queue.enqueue("count") for _ in range(4)]
    worker = Worker(queue, [count])
    assert [worker.tick(), worker.tick(), worker.tick()] == [True, True, False]
    assert [str(spent) for spent in queue.budgets()["count"]] == [
        "count: 120 of 100 tokens per day used, 0 left until 2026-01-02 00:00 UTC"
    ]
    assert "the budget of 100 tokens per day is spent (120)" in jobs[2].why()

    queue.budget("count", tokens=150)
    assert [worker.tick(), worker.tick()] == [True, False]
    clock.advance("12h")
    assert worker.tick()
    assert queue.budget("count", tokens=None) == []


def test_a_pause_may_end_by_itself(queue: Queue, clock: FakeClock) -> None:
    queue.pause("lunch", until="30m")
    assert "until 2026-01-01 12:30 UTC: lunch" in (queue.stats().paused or "")
    clock.advance("30m")
    assert queue.stats().paused is None

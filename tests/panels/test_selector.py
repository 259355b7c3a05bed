"""Coverage badges, and the jobs that a click makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pandas as pd
import pytest

from jobqueue import JobContext, Queue, analytics, constant, handler, panels
from jobqueue.errors import InvalidJob
from jobqueue.panels.selector import Selector
from jobqueue.queue.default import used


@handler(subject="commit", pipeline_version="3", retry=constant("0s", attempts=1))
def cards(commit: str, ctx: JobContext) -> dict[str, int]:
    ctx.metric("cards", 8)
    if commit == "bad":
        raise ValueError("no <cards>")
    ctx.metric("tokens", 1234)
    return {"cards": 8}


@pytest.fixture
def selector(queue: Queue) -> Iterator[Selector]:
    queue.enqueue_many(cards, [{"commit": "a"}, {"commit": "b"}])
    queue.with_options(pipeline_version="2").enqueue_many("old", [{}])
    queue.drain([cards], progress=False)
    yield panels.selector(analytics.coverage(queue, ["a", "b", "c", "d", "<e>"], cards), every=None)
    panels.developer_mode(False)


def test_badges_and_summary(selector: Selector) -> None:
    view = selector.view.coverage
    assert "3 new, 2 already processed, 0 needs re-run" in view
    assert "🆕 New" in view
    assert "✅ Processed" in view
    assert "&lt;e&gt;" in view
    assert "Process Now (3)" in view


def test_process_makes_a_job_for_each_that_needs_one(selector: Selector, queue: Queue) -> None:
    selector.click("process")
    assert sorted(job.record.payload["commit"] for job in queue.jobs("pending", type="cards")) == ["<e>", "c", "d"]
    assert "Processing queued: 3 jobs." in selector.view.status
    selector.click("process")
    assert "Job already running." in selector.view.status
    assert queue.jobs("pending", type="cards").total == 3
    queue.drain([cards], progress=False)
    selector.click("process")
    assert "all of it is processed" in selector.view.status


def test_what_came_of_it_is_said_once_with_a_link(selector: Selector, queue: Queue) -> None:
    selector.click("choose", id="3", value=True)
    selector.click("process")
    (job,) = queue.jobs("pending", type="cards")
    selector.refresh()
    assert "Processing queued." in selector.view.status
    queue.drain([cards], progress=False)
    selector.refresh()
    assert "8 cards generated." in selector.view.status
    assert "2 new, 3 already processed, 0 needs re-run" in selector.view.coverage
    assert job.id in selector.view.status
    selector.click("dismiss")
    assert "cards generated" not in selector.view.status
    selector.click("process")
    queue.drain([cards], progress=False)
    selector.refresh()
    assert "16 cards generated." in selector.view.status


@handler(type="cards", subject="commit", pipeline_version="4", retry=constant("0s", attempts=1))
def new_cards(commit: str) -> dict[str, int]:
    return {"cards": 9}


@handler(subject="commit")
def others(commit: str) -> None: ...


def test_what_failed_and_what_is_old_is_processed_again(queue: Queue) -> None:
    with panels.selector(["a", "bad"], type=cards, queue=queue, every=None) as selector:
        for failed in (1, 2):
            selector.click("process")
            queue.drain([cards], progress=False)
            selector.refresh()
            assert "1 new, 1 already processed, 0 needs re-run" in selector.view.coverage
            assert queue.jobs("failed").total == failed
    with panels.selector(["a", "bad"], type=new_cards, queue=queue, every=None) as selector:
        assert "1 new, 0 already processed, 1 needs re-run" in selector.view.coverage
        selector.click("process")
        assert "Processing queued: 2 jobs." in selector.view.status
        queue.drain([new_cards], progress=False)
        selector.refresh()
        assert "0 new, 2 already processed, 0 needs re-run" in selector.view.coverage


def test_a_key_that_a_finished_job_holds_keeps_nobody_from_processing(queue: Queue) -> None:
    with panels.selector(["bad", "b"], type=cards, queue=queue, every=None) as selector:
        queue.with_options(idempotency_key=True).enqueue("cards", {"commit": "bad"})
        queue.drain([cards], progress=False)
        queue.with_options(idempotency_key=True).enqueue("cards", {"commit": "b"})
        selector.click("process")
        assert "Processing queued." in selector.view.status
        assert sorted(job.payload["commit"] for job in queue.jobs("pending")) == ["b", "bad"]
        selector.click("process")
        assert "Job already running." in selector.view.status
        assert queue.jobs("pending").total == 2


def test_what_failed_is_said_with_a_link_to_it(queue: Queue) -> None:
    with panels.selector(analytics.coverage(queue, ["a", "bad"], cards), every=None) as selector:
        selector.click("process")
        queue.drain([cards], progress=False)
        selector.refresh()
        assert "8 cards generated, 1 failed." in selector.view.status
        (failed,) = queue.jobs("failed")
        assert failed.id in selector.view.status
        with panels.dashboard(queue, every=None) as dashboard:
            dashboard.click("retry", id=failed.id)
            queue.drain([cards], progress=False)
            dashboard.refresh()
            assert "cards failed: ValueError: no &lt;cards&gt;." in dashboard.view.status


def test_the_chosen_ones_alone(selector: Selector, queue: Queue) -> None:
    selector.click("choose", id="3", value=True)
    assert "Process Now (1 selected)" in selector.view.coverage
    selector.click("process")
    (job,) = queue.jobs("pending", type="cards")
    assert job.record.payload == {"commit": "d"}
    assert "Processing queued." in selector.view.status


def test_force_is_for_developers(selector: Selector, queue: Queue) -> None:
    assert "Force" not in selector.view.coverage
    panels.developer_mode(True)
    selector.refresh()
    assert "Force Reprocess" in selector.view.coverage
    selector.click("reprocess", value=True)
    assert "Process Now (5)" in selector.view.coverage
    selector.click("process")
    assert queue.jobs("pending", type="cards").total == 5
    assert all(job.record.force for job in queue.jobs("pending", type="cards"))


def test_a_verbose_log_is_for_developers(selector: Selector, queue: Queue) -> None:
    assert "Verbose log" not in selector.view.coverage
    panels.developer_mode(True)
    selector.click("log", value=True)
    assert 'data-do="log" checked> Verbose log' in selector.view.coverage
    selector.click("choose", id="2", value=True)
    selector.click("process")
    (job,) = queue.jobs("pending", type="cards")
    assert (job.payload, job.record.log_level, job.record.force) == ({"commit": "c"}, "debug", False)
    panels.developer_mode(False)
    selector.click("process")
    assert {job.payload["commit"]: job.record.log_level for job in queue.jobs("pending", type="cards")} == {
        "c": "debug",
        "d": None,
        "<e>": None,
    }


def test_developers_see_how_the_last_run_went_and_open_it(selector: Selector, queue: Queue) -> None:
    assert "attempt 1" not in selector.view.coverage
    panels.developer_mode(True)
    selector.refresh()
    first = next(job for job in queue.jobs("done", type="cards") if job.payload == {"commit": "a"})
    view = selector.view.coverage
    row = view[view.index('<li data-key="0"') : view.index('<li data-key="1"')]
    assert first.record.ran is not None
    for told in ("<code>3</code>", f"<code>{first.record.ran.code}</code>", "s ago", "ran ", "attempt 1", first.locked_by):
        assert str(told) in row
    assert "jq-run" not in view[view.index('<li data-key="2"') :], "c has not run"
    selector.click("open", id=first.id)
    selector.click("force", id=first.id)
    (again,) = queue.jobs("pending", type="cards")
    assert (again.payload, again.record.force, selector.force) == ({"commit": "a"}, True, False)


def test_a_read_only_selector_has_no_switches(selector: Selector) -> None:
    panels.developer_mode(True)
    with panels.selector(selector.covered.found, every=None, read_only=True) as readable:
        assert "Developer mode" in readable.view.coverage
        assert "Verbose" not in readable.view.coverage
        assert "Force" not in readable.view.coverage


def test_all_in_view_are_chosen_at_once(selector: Selector, queue: Queue) -> None:
    selector.click("only", value="new")
    assert 'data-do="choose-all"> All 3' in selector.view.coverage
    selector.click("choose-all", value=True)
    assert "Process Now (3 selected)" in selector.view.coverage
    assert 'data-do="choose-all" checked> All 3' in selector.view.coverage
    selector.click("only", value="new")
    assert 'data-do="choose-all"> All 5' in selector.view.coverage, "two of them are not chosen"
    selector.click("choose", id="2", value=False)
    selector.click("choose-all", value=False)
    assert "selected" not in selector.view.coverage
    with panels.selector(selector.covered.found, every=None, read_only=True) as readable:
        assert "choose-all" not in readable.view.coverage


def test_a_frame_and_its_handler_will_do(selector: Selector, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"commit": ["a", "x"], "other": [1, 2]})
    for subjects in (frame, frame["commit"], ["a", "x"]):
        with panels.selector(subjects, type=cards, queue=queue, every=None) as made:
            assert "1 new, 1 already processed, 0 needs re-run" in made.view.coverage
    with used(queue), panels.selector(frame, type=cards, every=None) as made:
        assert made.queue is queue
    with pytest.raises(InvalidJob, match=r"say which handler processes them, as in panels.selector\(df, type=cards\)"):
        panels.selector(frame, queue=queue)
    main = ModuleType("__main__")
    main.cards = cards  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    with used(queue), panels.selector(frame, every=None) as made:
        assert "1 new, 1 already processed, 0 needs re-run" in made.view.coverage
    main.more = others  # type: ignore[attr-defined]
    with pytest.raises(InvalidJob, match=r"type=cards\) \(cards, others would do\)"):
        panels.selector(frame, queue=queue)
    for subjects in (frame[["other"]], ["a"]):
        with pytest.raises(InvalidJob, match=r"type=cards\)$"):
            panels.selector(subjects, queue=queue)
    with pytest.raises(InvalidJob, match=r"is 'commit', which is no column; .* \(there are: 'other'\)"):
        panels.selector(frame[["other"]], type=cards, queue=queue)
    with pytest.raises(InvalidJob, match="no handler says which column"):
        panels.selector(frame, type="cards", queue=queue)


def test_a_coverage_of_items_stays_one_of_items(queue: Queue) -> None:
    @handler("loops")
    def loops(ctx: JobContext) -> int:
        return sum(1 for _ in ctx.track(["a"], key=str, name="first")) + sum(1 for _ in ctx.track(["b"], key=str))

    queue.enqueue("loops")
    queue.drain([loops], progress=False)
    found = analytics.coverage(queue, ["a", "b"], "loops", track="first")
    with panels.selector(found, lambda subject: {}, every=None) as made:
        assert "1 new, 1 already processed" in made.view.coverage


def test_it_is_asked_again_only_when_something_has_run(selector: Selector, queue: Queue) -> None:
    selector.covered.pace.looked = -1e9
    selector.refresh()
    before = selector.covered.found
    selector.covered.pace.looked = -1e9
    selector.refresh()
    assert selector.covered.found is before
    queue.enqueue("cards", {"commit": "c"})
    queue.drain([cards], progress=False)
    selector.covered.pace.looked = -1e9
    selector.refresh()
    assert "2 new, 3 already processed, 0 needs re-run" in selector.view.coverage


def test_a_pill_shows_one_status(selector: Selector) -> None:
    selector.click("only", value="processed")
    assert "2 subjects" in selector.view.coverage
    assert "&lt;e&gt;" not in selector.view.coverage
    selector.click("only", value="processed")
    assert "5 subjects" in selector.view.coverage

"""The dashboard: what it says, and that each of its buttons does what it says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from jobqueue import Queue, panels
from jobqueue.model.status import Status
from jobqueue.panels import detail
from jobqueue.panels import panel as panels_panel
from jobqueue.panels.dashboard import Dashboard

from .conftest import scan

Shown = Callable[[Any], str]


@pytest.fixture
def dashboard(filled: Queue) -> Dashboard:
    return panels.dashboard(filled, every=None)


def tile(panel: Dashboard, status: str) -> int:
    return int(re.search(rf'data-status="{status}"><span>[^<]*</span><b>([\d,]+)</b>', panel.view.tiles)[1].replace(",", ""))


def files_in(queue: Queue, status: str) -> int:
    return sum(name.suffix == ".json" for name in (Path(queue.store.url) / status).rglob("*.json"))


def test_each_tile_is_the_number_of_files_in_its_folder(dashboard: Dashboard, filled: Queue) -> None:
    for status in Status:
        assert tile(dashboard, status.value) == files_in(filled, status.value)
    assert tile(dashboard, "total") == 7


def test_empty_sections_say_so(queue: Queue) -> None:
    view = panels.dashboard(queue, every=None).view
    assert "No jobs being processed right now." in view.claimed
    assert "Queue is empty." in view.pending
    assert "No completed jobs yet." in view.done
    assert "No failed jobs." in view.failed
    assert "Purge all" not in view.done


def test_rows_say_what_is_wanted_of_them(dashboard: Dashboard) -> None:
    assert "Position #1" in dashboard.view.pending
    assert "Created " in dashboard.view.pending
    assert "Took 1 attempt<" in dashboard.view.done
    assert "Took 2 attempts" not in dashboard.view.done
    assert "ValueError: cannot parse https://example.org/bad/" in dashboard.view.failed
    assert "Traceback" in dashboard.view.failed


def test_what_jobs_say_is_only_text(dashboard: Dashboard, shown: Shown) -> None:
    everything = shown(dashboard)
    assert "<script>" not in everything
    assert "&lt;script&gt;alert(1)" in everything
    assert "<b>at byte" not in everything


def test_a_dropped_file_shows_up(dashboard: Dashboard, filled: Queue) -> None:
    (Path(filled.store.url) / "pending" / "dropped.json").write_text('{"type": "scan", "payload": {"repo": "x"}}')
    dashboard.refresh()
    assert tile(dashboard, "pending") == 3
    assert "dropped" in dashboard.view.pending


def test_unchanged_parts_are_not_sent_again(dashboard: Dashboard) -> None:
    dashboard.refresh()  # what can be chosen from comes with the second look
    sent: list[str] = []
    dashboard.view.observe(lambda change: sent.append(change["name"]))
    dashboard.refresh()
    assert sent == []


def test_purge_asks_first(dashboard: Dashboard, filled: Queue) -> None:
    dashboard.click("purge-done")
    assert "Purge 3 done jobs?" in dashboard.view.done
    assert files_in(filled, "done") == 3, "the first click moves nothing"
    dashboard.click("purge-done")
    assert files_in(filled, "done") == 0
    assert "3 jobs purged." in dashboard.view.status
    dashboard.click("undo")
    assert files_in(filled, "done") == 3
    assert "3 jobs restored." in dashboard.view.status


def test_a_first_click_is_forgotten(dashboard: Dashboard, filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels_panel, "ARMED_FOR", 0.0)
    dashboard.click("purge-done")
    dashboard.refresh()
    assert "Purge all" in dashboard.view.done
    dashboard.click("purge-done")
    assert files_in(filled, "done") == 3


def test_another_click_lets_the_first_one_go(dashboard: Dashboard, filled: Queue) -> None:
    dashboard.click("purge-done")
    dashboard.click("range", value="7d")
    assert "Purge all" in dashboard.view.done
    dashboard.click("purge-done")
    assert files_in(filled, "done") == 3


def test_what_came_after_the_first_click_is_not_purged(dashboard: Dashboard, filled: Queue) -> None:
    dashboard.click("purge-done")
    filled.drain([scan], progress=False)
    dashboard.click("purge-done")
    assert files_in(filled, "done") == 2


def test_retry_of_one_and_of_all(dashboard: Dashboard, filled: Queue) -> None:
    id = filled.jobs("failed")[0].id
    dashboard.click("retry", id=id)
    assert filled.get(id).status is Status.PENDING
    assert "extract is queued again." in dashboard.view.status
    dashboard.click("retry-failed")
    assert "Retry 1 failed job?" in dashboard.view.failed
    dashboard.click("retry-failed")
    assert tile(dashboard, "failed") == 0
    assert "1 job retried." in dashboard.view.status


def test_a_waiting_job_is_removed_in_two_steps_and_comes_back(dashboard: Dashboard, filled: Queue) -> None:
    id = filled.jobs("pending")[0].id
    dashboard.click("cancel", id=id)
    assert "Remove it?" in dashboard.view.pending
    assert filled.get(id).status is Status.PENDING
    dashboard.click("cancel", id=id)
    assert filled.get(id).status is Status.FAILED
    dashboard.click("undo")
    assert filled.get(id).status is Status.PENDING


def test_a_job_that_has_moved_is_an_answer_and_no_error(dashboard: Dashboard, filled: Queue) -> None:
    job = filled.jobs("failed")[0]
    job.retry()
    dashboard.click("retry", id=job.id)
    assert "cannot be retried" in dashboard.view.status
    dashboard.click("open", id="no-such-job")
    assert "no job &#x27;no-such-job&#x27;" in dashboard.view.drawer


def test_pause_and_resume(dashboard: Dashboard, filled: Queue) -> None:
    dashboard.click("pause")
    assert filled.store.control().paused is not None
    assert "the queue is paused by" in dashboard.view.banners
    assert "Resume" in dashboard.view.head
    first = filled.store.control().paused
    assert "Say why" in dashboard.view.banners
    dashboard.click("pause-why", value="  ")
    assert filled.store.control().paused == first
    dashboard.click("pause-why", value=" the <disk> is full ")
    assert filled.store.control().paused == replace(first, reason="the <disk> is full")
    assert "the &lt;disk&gt; is full" in dashboard.view.banners
    assert "Say why" not in dashboard.view.banners
    dashboard.click("resume")
    dashboard.click("pause-why", value="too late")
    assert filled.store.control().paused is None
    assert "is paused" not in dashboard.view.banners


def test_no_worker_is_a_banner_with_a_way_out(dashboard: Dashboard) -> None:
    assert "No worker is alive" in dashboard.view.banners
    assert "2 jobs wait for one." in dashboard.view.banners
    assert 'data-do="start-worker"' in dashboard.view.banners


def test_a_folder_that_is_gone_is_said_and_comes_back(filled: Queue, tmp_path: Path) -> None:
    panel = panels.dashboard(filled, every=None)
    (tmp_path / "q").rename(tmp_path / "away")
    panel.refresh()
    assert "Cannot read the queue" in panel.view.problem
    assert "Make sure the folder is there" in panel.view.problem
    assert panel.errors
    (tmp_path / "away").rename(tmp_path / "q")
    panel.refresh()
    assert "Cannot read" not in panel.view.problem


def test_a_job_in_full(dashboard: Dashboard, filled: Queue) -> None:
    job = filled.jobs("failed")[0]
    dashboard.click("open", id=job.id)
    drawer = dashboard.view.drawer
    assert job.id in drawer
    assert "<dt>attempts</dt><dd>2</dd>" in drawer
    assert "raise ValueError" in drawer
    assert "queue.enqueue(&#x27;extract&#x27;, {&#x27;url&#x27;:" in drawer
    dashboard.click("close")
    assert dashboard.view.drawer == ""


def test_the_code_of_a_job_makes_the_same_again(filled: Queue) -> None:
    options = {"name": "the one", "run_id": 0, "priority": 3, "tags": ["a"], "max_attempts": 2, "timeout": 60.0, "project": "p"}
    job = filled.enqueue("extract", {"url": "it's <bad>"}, **options, concurrency_key="k")
    again = eval(detail.as_code(job.record), {"queue": filled})
    assert again.payload == job.payload
    for name in (*options, "concurrency_key"):
        assert getattr(again.record, name) == getattr(job.record, name)


def test_force_makes_a_new_job(dashboard: Dashboard, filled: Queue) -> None:
    old = filled.jobs("done")[0]
    dashboard.click("force", id=old.id)
    new = filled.get(dashboard.open_id)
    assert new.id != old.id
    assert (new.record.payload, new.record.force) == (old.record.payload, True)
    assert "Processing queued." in dashboard.view.status


def test_a_read_only_dashboard_changes_nothing(filled: Queue, shown: Shown) -> None:
    panel = panels.dashboard(filled, every=None, read_only=True)
    everything = shown(panel)
    for word in ("Purge", "Retry", "Remove", "Pause", "Start a worker", "Stop"):
        assert f">{word}" not in everything
    id = filled.jobs("failed")[0].id
    panel.click("retry", id=id)
    assert filled.get(id).status is Status.FAILED
    assert "read-only" in panel.view.status


def test_a_click_on_nothing_known_is_said(dashboard: Dashboard) -> None:
    dashboard.click("__init__")
    dashboard.click("format-disk")
    assert "does not know how to &#x27;format-disk&#x27;" in dashboard.view.status


def test_metrics_change_with_the_range_and_not_with_a_purge(dashboard: Dashboard, filled: Queue) -> None:
    before = dashboard.view.metrics
    assert "<dd>60 %</dd>" in before
    filled.purge(status="done")
    filled.purge(status="failed")
    dashboard.click("range", value="all")
    assert 'data-value="all" aria-pressed="true"' in dashboard.view.metrics
    assert "<dd>60 %</dd>" in dashboard.view.metrics


def test_failures_are_grouped_and_retried_together(dashboard: Dashboard, filled: Queue) -> None:
    assert "4×" in dashboard.view.groups
    (key,) = dashboard.grouped.groups
    dashboard.click("retry-group", key=key)
    assert "Retry 2 jobs?" in dashboard.view.groups
    dashboard.click("retry-group", key=key)
    assert tile(dashboard, "failed") == 0


def test_it_follows_by_itself(filled: Queue) -> None:
    panel = panels.dashboard(filled, every=0.5)
    filled.enqueue("scan", {"repo": "new"})
    deadline = time.monotonic() + 20
    while tile(panel, "pending") != 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_hidden_it_rests(filled: Queue) -> None:
    panel = panels.dashboard(filled, every=0.1)
    panel.view.shown = False
    time.sleep(0.7)  # what was under way comes to its end
    looks: list[int] = []
    original = panel.read
    panel.read = lambda: looks.append(1) or original()  # type: ignore[method-assign]
    time.sleep(1.2)
    assert looks == []
    panel.view.shown = True
    deadline = time.monotonic() + 20
    while not looks:
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""What every panel does: it ends without a trace, gives way to itself, and swallows no error."""

from __future__ import annotations

import threading
from pathlib import Path

import ipywidgets
import pytest

from jobqueue import Batch, Queue, analytics, panels
from jobqueue.panels import panel as panels_panel
from jobqueue.panels import refresh
from jobqueue.panels.dashboard import Dashboard
from jobqueue.panels.panel import Panel, Said


def instances() -> int:
    return len(ipywidgets.widgets.widget._instances)


def test_a_cell_that_runs_again_leaves_nothing(filled: Queue) -> None:
    panels.dashboard(filled).close()
    widgets, threads = instances(), threading.active_count()
    for _ in range(20):
        last = panels.dashboard(filled)
    assert len(refresh.REFRESHER.panels) == 1
    last.close()
    assert (instances(), threading.active_count()) == (widgets, threads)
    assert refresh.REFRESHER.panels == {}


def test_cells_with_names_keep_their_own(filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels_panel, "cell_id", lambda: "one")
    first = panels.dashboard(filled)
    monkeypatch.setattr(panels_panel, "cell_id", lambda: "two")
    second = panels.dashboard(filled)
    assert not first.closed
    again = panels.dashboard(filled)
    assert (first.closed, second.closed, again.closed) == (False, True, False)


def test_with_ends_it(filled: Queue) -> None:
    with panels.workers(filled) as panel:
        assert not panel.closed
    assert panel.closed
    assert "closed" in repr(panel)
    assert "application/vnd.jupyter.widget-view+json" not in panel._repr_mimebundle_()


def test_a_notebook_gets_a_widget_and_what_can_be_read_without(filled: Queue) -> None:
    bundle = panels.dashboard(filled)._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= set(bundle)


def test_an_error_in_a_command_is_shown_and_kept(filled: Queue, caplog: pytest.LogCaptureFixture) -> None:
    panel = panels.dashboard(filled, every=None)

    def broken() -> Said:
        raise RuntimeError("no <such> thing")

    panel.do(broken)
    panel.click("dismiss-not")
    assert any(isinstance(error, RuntimeError) for error in panel.errors)
    assert "no <such> thing" in caplog.text


def test_an_error_in_drawing_is_logged_and_the_next_refresh_goes_on(
    filled: Queue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panels.dashboard(filled, every=None)
    with monkeypatch.context() as patch:
        patch.setattr(panel, "texts", lambda state, told: 1 / 0)
        panel.click("range", value="7d")
    assert "division by zero" in caplog.text
    panel.click("range", value="7d")
    assert 'data-value="7d" aria-pressed="true"' in panel.view.metrics


def test_commands_keep_their_order(filled: Queue) -> None:
    panel = panels.dashboard(filled, every=None)
    seen: list[int] = []
    for number in range(50):
        panel.do(lambda number=number: seen.append(number))
    panel.click("dismiss")
    assert seen == list(range(50))


def test_a_panel_that_was_closed_draws_no_more(filled: Queue) -> None:
    panel = panels.dashboard(filled, every=None)
    panel.close()
    filled.enqueue("scan", {"repo": "x"})
    panel.refresh()
    assert not isinstance(panel, Dashboard) or panel.closed


def test_alone_each_panel_shows_its_part(filled: Queue) -> None:
    assert "Success" in panels.metrics(filled, every=None).view.metrics
    assert "No worker is alive." in panels.workers(filled, every=None).view.workers
    assert "ValueError" in panels.failures(filled, every=None).view.groups
    job = filled.jobs("failed")[0]
    assert job.id in panels.drawer(job, every=None).view.drawer
    listed = panels.drawer(filled, every=None)
    assert job.id in listed.view.jobs
    listed.click("open", id=job.id)
    assert (listed.view.jobs, job.id in listed.view.drawer) == ("", True)
    listed.click("close")
    assert job.id in listed.view.jobs


def test_a_batch(filled: Queue) -> None:
    batch = Batch(list(filled.jobs(limit=None)), name="all <of> it")
    panel = panels.progress(batch, every=None)
    assert "all &lt;of&gt; it" in panel.view.batch
    assert "71 %" in panel.view.batch
    panel.click("retry-batch")
    assert "Retry 2 jobs?" in panel.view.batch
    panel.click("retry-batch")
    assert "<b>4</b> pending" in panel.view.batch
    panel.click("cancel-batch")
    panel.click("cancel-batch")
    assert "pending" not in panel.view.batch
    with pytest.raises(ValueError, match="no jobs"):
        panels.progress(Batch([]))


def test_the_drawer_lists_jobs_with_what_is_most_wanted(filled: Queue) -> None:
    (waiting, *_), (failed, *_) = filled.jobs("pending"), filled.jobs("failed")
    drawer = panels.drawer(filled, every=None)
    assert "Retry" in drawer.view.jobs
    drawer.click("retry", id=failed.id)
    assert failed.status == "pending"
    drawer.click("cancel", id=waiting.id)
    assert "Remove it?" in drawer.view.jobs
    assert waiting.status == "pending"
    drawer.click("cancel", id=waiting.id)
    assert waiting.status == "failed"
    with panels.drawer(filled, every=None, read_only=True) as readable:
        assert "data-do" in readable.view.jobs
        assert "jq-button" not in readable.view.jobs


EVERY = {
    "dashboard": panels.dashboard,
    "jobs": panels.jobs,
    "failures": panels.failures,
    "workers": panels.workers,
    "stats": panels.stats,
    "metrics": panels.metrics,
    "drawer": panels.drawer,
    "progress": lambda queue, **options: panels.progress(queue.enqueue_many("later", [{}]), **options),
    "selector": lambda queue, **options: panels.selector(analytics.coverage(queue, ["a"], "scan"), **options),
}


@pytest.mark.parametrize("name", EVERY)
def test_each_panel_opens_the_job_that_it_names(filled: Queue, name: str) -> None:
    (job,) = filled.jobs("failed", limit=1)
    panel: Panel = EVERY[name](filled, every=None)
    panel.click("open", id=job.id)
    assert f'aria-label="Job {job.id}"' in panel.view.drawer
    panel.click("close")
    assert panel.view.drawer == ""


@pytest.mark.parametrize("name", EVERY)
def test_each_panel_says_that_it_cannot_read_until_it_can(
    filled: Queue, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    panel: Panel = EVERY[name](filled, every=None)
    (tmp_path / "q").rename(tmp_path / "away")
    panel.refresh()
    for shown in (panel.view.problem, panel.still()):
        assert "Cannot read the queue" in shown
        assert f"Make sure the folder is there: {tmp_path / 'q'}" in shown
    assert "there is no such folder" in caplog.text
    (tmp_path / "away").rename(tmp_path / "q")
    panel.refresh()
    assert panel.view.problem == ""

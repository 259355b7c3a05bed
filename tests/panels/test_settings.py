"""Developer mode: a box in the panels and a call, for all panels at once, and what is only shown there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobqueue import Queue, analytics, panels
from jobqueue.panels.plain import plain


@pytest.fixture(autouse=True)
def back() -> Iterator[None]:
    yield
    panels.developer_mode(False)


def until(check: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_box_and_the_call_change_all_panels_that_are_shown(filled: Queue) -> None:
    dashboard = panels.dashboard(filled, every=None)
    drawer = panels.drawer(filled.jobs("done")[0], every=None)
    assert not panels.developer_mode()
    assert 'data-do="developer"> Developer mode' in dashboard.view.head
    assert "<dt>code</dt>" not in drawer.view.drawer

    dashboard.click("developer", value=True)

    assert panels.developer_mode()
    assert 'data-do="developer" checked> Developer mode' in dashboard.view.head
    until(lambda: "<dt>code</dt>" in drawer.view.drawer)
    assert panels.developer_mode(False) is False
    until(lambda: "<dt>code</dt>" not in drawer.view.drawer)
    until(lambda: "checked" not in dashboard.view.head)


def test_a_read_only_panel_has_the_box_for_it_changes_no_job(filled: Queue) -> None:
    with panels.dashboard(filled, every=None, read_only=True) as dashboard:
        dashboard.click("developer", value=True)
        assert panels.developer_mode()


def test_the_drawer_tells_developers_how_a_job_was_processed(filled: Queue) -> None:
    panels.developer_mode(True)
    record = filled.jobs("done")[0].record
    assert record.ran is not None
    with panels.drawer(filled.jobs("done")[0], every=None) as drawer:
        for name, value in {"code": record.ran.code, "waited": ""}.items():
            assert f"<dt>{name}</dt><dd><code>{value}" in drawer.view.drawer
        assert "idempotency key" not in drawer.view.drawer
    job = filled.enqueue("later", {}, idempotency_key="<k>", concurrency_key="c", run_id=7, log_level="warning")
    with panels.drawer(job, every=None) as drawer:
        for name, value in {"idempotency key": "&lt;k&gt;", "concurrency key": "c", "run": "7", "log level": "warning"}.items():
            assert f"<dt>{name}</dt><dd><code>{value}</code></dd>" in drawer.view.drawer
        assert "verbose" not in drawer.view.drawer, "it has not run yet"


def test_a_job_runs_again_with_a_verbose_log(filled: Queue) -> None:
    (old,) = filled.jobs("failed", limit=1)
    dashboard = panels.dashboard(filled, every=None)
    dashboard.click("open", id=old.id)
    assert 'data-do="verbose"' not in dashboard.view.drawer
    panels.developer_mode(True)
    dashboard.refresh()
    assert 'data-do="verbose"' in dashboard.view.drawer
    dashboard.click("verbose", id=old.id)
    new = filled.last("extract")
    assert (new.payload, new.record.log_level, new.record.force) == (old.payload, "debug", True)
    assert dashboard.open_id == new.id
    assert "log_level=&#x27;debug&#x27;" in dashboard.view.drawer, "the code that is copied says it"


def test_a_job_that_runs_again_keeps_what_was_asked_of_it(filled: Queue) -> None:
    options = {
        "name": "the one",
        "project": "p",
        "tags": ["a"],
        "run_id": 0,
        "priority": "urgent",
        "max_attempts": 2,
        "backoff": "5s",
    }
    old = filled.enqueue("extract", {"url": "bad"}, **options)
    filled.cancel([old])
    with panels.drawer(old, every=None) as drawer:
        drawer.click("force", id=old.id)
    new = filled.last("extract")
    assert new.id != old.id
    assert [getattr(new.record, name) for name in options] == [getattr(old.record, name) for name in options]


def test_what_stays_of_a_panel_has_no_boxes(filled: Queue) -> None:
    panels.developer_mode(True)
    with panels.selector(analytics.coverage(filled, ["a"], "scan"), every=None) as selector:
        assert "Force Reprocess" in selector.view.coverage
        assert "Force" not in selector.still()
        assert "Developer" not in selector.still()
    assert plain(['<label class="jq-box"><input> Force</label><label>a</label>']) == "<label>a</label>"

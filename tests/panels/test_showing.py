"""What ends a cell shows itself: a line and a table always, a live panel where a kernel runs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from jobqueue import Batch, Queue, Worker, analytics
from jobqueue.panels.live import live_view
from jobqueue.queue import showing

from .conftest import scan

VIEW = "application/vnd.jupyter.widget-view+json"
REFUSED = ("<svg", "<style", "<script", "var(--", "border")
"""What JupyterLab takes out of a notebook that it does not trust, or what must never be in it."""


def everything(queue: Queue) -> list[Any]:
    failed = queue.jobs(status="failed")
    return [queue, queue.stats(), failed[0], failed, Batch(list(failed), name="<b>x</b>")]


def test_each_has_a_line_and_a_table_that_an_untrusted_notebook_keeps(filled: Queue) -> None:
    for thing in [*everything(filled), filled.jobs(text="alert")[0], filled.health(), filled.doctor(), filled.check()]:
        bundle = thing._repr_mimebundle_()
        assert bundle["text/plain"] == repr(thing)
        assert set(bundle) == {"text/plain", "text/html"}
        assert not [word for word in REFUSED if word in bundle["text/html"]]


def test_strangers_text_is_shown_as_text(filled: Queue) -> None:
    page = filled.jobs(status="pending")._repr_mimebundle_()["text/html"]
    assert "&lt;script&gt;" in page
    failed = filled.jobs(status="failed")[0]._repr_mimebundle_()["text/html"]
    assert "<details>" in failed
    assert "&lt;b&gt;at byte 17" in failed


def test_what_was_found_is_shown_in_full(filled: Queue) -> None:
    filled.pause("a <reason> " + "of many words " * 20)
    health = filled.health()._repr_mimebundle_()
    assert "<b>degraded</b>" in health["text/html"]
    assert "a &lt;reason&gt; of many words" in health["text/html"]
    findings = filled.doctor()
    warned = next(finding for finding in findings if finding.what == "workers")
    assert f"<td>{warned.found}</td><td>{warned.fix}</td>" in findings._repr_mimebundle_()["text/html"]
    assert str(warned) in repr(findings).split("\n")


def test_a_kernel_with_widgets_shows_the_panel(filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "has_widgets", lambda: True)
    queue, stats, job, page, batch = everything(filled)
    for live in (queue, stats, job, batch):
        assert VIEW in live._repr_mimebundle_()
        assert live._repr_mimebundle_()["text/plain"] == repr(live)
    with Worker(filled, [scan]) as worker:
        for live in (filled.workers(), filled.workers()[0], analytics.coverage(filled, ["a"], "scan")):
            assert VIEW in live._repr_mimebundle_()
        assert worker.owner in filled.workers()._repr_mimebundle_()["text/html"]
    for still in (filled.stats(type="scan"), page, Batch()):
        assert VIEW not in still._repr_mimebundle_()
        assert live_view(still) is None


def test_a_panel_that_cannot_be_made_is_a_table_that_says_so(filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thing: Any) -> None:
        raise RuntimeError("no <comm>")

    monkeypatch.setattr(showing, "has_widgets", lambda: True)
    monkeypatch.setattr("jobqueue.panels.live.live_view", fail)
    page = filled._repr_mimebundle_()["text/html"]
    assert "<table>" in page
    assert "RuntimeError: no &lt;comm&gt;" in page


def test_what_cannot_be_read_is_said_and_not_raised(filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("the <disk> is gone")

    monkeypatch.setattr(filled.store, "counts", fail)
    bundle = filled._repr_mimebundle_()
    assert "OSError: the <disk> is gone" in bundle["text/plain"]
    assert "OSError: the &lt;disk&gt; is gone" in bundle["text/html"]


def test_a_table_loads_no_widgets() -> None:
    code = (
        "import sys; from jobqueue import Queue; Queue(':memory:')._repr_mimebundle_(); "
        "assert not {'ipywidgets', 'pandas', 'jobqueue.panels'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

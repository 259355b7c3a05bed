"""A snapshot is one page: whole, private, and without anything that would have to be loaded or run."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from jobqueue import Queue
from jobqueue.cli import program


def test_the_page_has_it_all_and_needs_nothing(filled: Queue, tmp_path: Path) -> None:
    filled.schedule("scan", {"repo": "nightly"}, every="1d", name="nightly")
    target = filled.snapshot(tmp_path / "report.html")
    page = target.read_text()
    for word in (
        "Queue Dashboard",
        "Up Next (Pending)",
        "Errors by cause",
        "Metrics, last 24h",
        "Metrics, all time",
        "nightly",
    ):
        assert word in page
    for part in ("<svg", "<details", "prefers-color-scheme: dark", "Taken on", "No worker is alive"):
        assert part in page
    for word in ("<script", "<button", "<input", "<link", "@import", "url(http", 'src="http', "[data-jp-theme-light] {"):
        assert word not in page
    assert page.count("<details><summary>Metrics") == 3
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_empty_queue_has_a_page_too(queue: Queue, tmp_path: Path) -> None:
    assert "Queue is empty." in queue.snapshot(tmp_path / "report.html").read_text()


def test_it_writes_over_nothing_unless_told_to(filled: Queue, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        filled.snapshot(target)
    assert target.read_text() == "mine"
    filled.snapshot(target, overwrite=True)
    assert target.stat().st_mode & 0o777 == 0o600
    assert "Queue Dashboard" in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["q", "report.html"]


def test_the_command_does_the_same(filled: Queue, tmp_path: Path) -> None:
    words = ["snapshot", str(tmp_path / "report.html"), "--queue", str(tmp_path / "q")]
    first = CliRunner().invoke(program, words)
    assert (first.exit_code, first.output.strip()) == (0, str(tmp_path / "report.html"))
    again = CliRunner().invoke(program, words)
    assert again.exit_code == 2
    assert "--overwrite" in again.output

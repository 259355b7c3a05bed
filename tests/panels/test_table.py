"""The table of all jobs: which rows it sends, in which order, and what is done to those that are chosen."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue, panels
from jobqueue.model.status import Status
from jobqueue.panels import wording
from jobqueue.panels.jobs import JobsPanel
from jobqueue.panels.listing import COLUMNS
from jobqueue.panels.rows import KnownRows

from .conftest import scan


@pytest.fixture
def table(filled: Queue) -> JobsPanel:
    return panels.jobs(filled, every=None)


def page(table: JobsPanel) -> dict[str, Any]:
    return dict(table.rows.widget.page)


def ids(table: JobsPanel) -> list[str]:
    return [row["id"] for row in page(table)["rows"]]


def values(table: JobsPanel, column: str) -> list[Any]:
    """The journal has microseconds, a job's file more."""
    assert [row.id for row in table.state.rows] == ids(table)
    found = [getattr(row, column) for row in table.state.rows]
    return [round(value, 6) if isinstance(value, float) else value for value in found]


def test_the_newest_come_first(table: JobsPanel, filled: Queue) -> None:
    made = sorted((job.id for job in filled.jobs(limit=None)), reverse=True)
    assert ids(table) == made
    assert page(table)["total"] == 7
    assert "7 jobs" in table.view.tools


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_sorts_both_ways(table: JobsPanel, column: str) -> None:
    table.click("sort", column="error" if column != "error" else "made")
    table.click("sort", column=column)
    first = values(table, column)
    table.click("sort", column=column)
    second = values(table, column)
    assert page(table)["sort"] == column
    assert {tuple(first), tuple(second)} == {tuple(sorted(first)), tuple(sorted(first, reverse=True))}


def test_how_long_a_job_ran_reads_as_everywhere(table: JobsPanel, filled: Queue) -> None:
    told = {row["id"]: row["run"] for row in page(table)["rows"]}
    for job in filled.jobs(limit=None):
        ran = wording.duration(job.record).removeprefix("ran ")
        assert told[job.id] == ran


def test_projects_take_room_where_there_are_any(table: JobsPanel, filled: Queue) -> None:
    assert "project" not in page(table)["columns"]
    filled.with_options(project="p1").enqueue("scan", {})
    table.click("sort", column="name")
    assert "project" in page(table)["columns"]


def test_filters_and_words(table: JobsPanel) -> None:
    table.click("filter", what="status", value="failed")
    assert page(table)["total"] == 2
    table.click("find", value="BAD/1")
    assert [row["error"] for row in page(table)["rows"]] == [
        "ValueError: cannot parse https://example.org/bad/1 <b>at byte 17</b>"
    ]
    assert "1 of 7 jobs" in table.view.tools
    table.click("filter", what="status", value="")
    table.click("find", value="")
    table.click("filter", what="type", value="extract")
    assert page(table)["total"] == 2
    table.click("find", value="nowhere")
    assert (page(table)["total"], page(table)["empty"]) == (0, "No job matches.")


def test_rows_follow_what_moves(table: JobsPanel, filled: Queue) -> None:
    table.click("sort", column="type")
    before = ids(table)
    filled.drain([scan], progress=False)
    table.refresh()
    assert {row["status"] for row in page(table)["rows"]} == {"done", "failed"}
    assert sorted(ids(table)) == sorted(before)
    filled.purge(status="done")
    filled.enqueue("scan", {"repo": "another"})
    table.refresh()
    assert page(table)["total"] == 3


@pytest.mark.parametrize("column", ["made", "type"])
def test_what_moved_while_a_refresh_failed_is_known_by_the_next(
    table: JobsPanel, filled: Queue, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(known: KnownRows) -> None:
        raise OSError("the disk is gone")

    table.click("sort", column="name")
    table.click("sort", column=column)
    filled.purge(status="done")
    new = filled.enqueue("scan", {"repo": "another"})
    for name in ("read_some", "read_the_rest"):
        monkeypatch.setattr(KnownRows, name, fail)
    table.refresh()
    assert "the disk is gone" in table.told.problem
    monkeypatch.undo()
    table.refresh()
    assert sorted(ids(table)) == sorted([new.id, *(job.id for job in filled.jobs(limit=None) if job.id != new.id)])
    assert page(table)["total"] == 5


def test_a_window_is_all_that_is_sent(table: JobsPanel) -> None:
    table.click("window", start=2, count=3)
    assert (page(table)["start"], len(page(table)["rows"]), page(table)["total"]) == (2, 3, 7)
    table.click("window", start=-5, count=10**9)
    assert table.rows.count == 100


def test_what_is_sent_is_small_however_long_the_texts_are(queue: Queue) -> None:
    for number in range(60):
        queue.enqueue("scan", {"number": number}, name=f"job {number} " + "long " * 100)
    with panels.jobs(queue, every=None) as table:
        table.click("window", start=0, count=46)
        sent = table.rows.widget.packed
        assert json.loads(zlib.decompress(sent)) == page(table)
        assert len(page(table)["rows"]) == 46
        assert len(sent) < 5_000
        assert max(len(row["name"]) for row in page(table)["rows"]) == 160
        assert "page" not in table.rows.widget.keys


def test_an_unchanged_page_is_not_sent_again(table: JobsPanel) -> None:
    sent: list[Any] = []
    table.rows.widget.observe(sent.append, ["page", "packed"])
    table.refresh()
    assert sent == []


def test_the_chosen_are_retried_in_two_steps(table: JobsPanel, filled: Queue) -> None:
    table.click("filter", what="status", value="failed")
    (first, second) = ids(table)
    table.click("choose", ids=[first], value=True)
    assert "1 chosen" in table.view.tools
    table.click("retry-chosen")
    assert filled.get(first).status is Status.FAILED
    assert "Retry 1 job?" in table.view.tools
    table.click("retry-chosen")
    assert (filled.get(first).status, filled.get(second).status) == (Status.PENDING, Status.FAILED)
    assert "chosen" not in table.view.tools, "what was acted on stays chosen, out of sight: the next click would hit it again"


def test_all_that_match_are_purged_and_come_back(table: JobsPanel, filled: Queue) -> None:
    table.click("filter", what="status", value="done")
    table.click("choose-all", value=True)
    assert "3 chosen" in table.view.tools
    table.click("choose", ids=[ids(table)[0]], value=False)
    assert "2 chosen" in table.view.tools
    table.click("purge-chosen")
    table.click("purge-chosen")
    assert len(list(Path(filled.store.url, "done").iterdir())) == 1
    table.click("undo")
    assert len(list(Path(filled.store.url, "done").iterdir())) == 3


def test_all_that_match_is_said_of_one_filter(table: JobsPanel) -> None:
    table.click("choose-all", value=True)
    table.click("filter", what="status", value="failed")
    assert "chosen" not in table.view.tools


def test_a_click_opens_a_job(table: JobsPanel) -> None:
    id = ids(table)[0]
    table.click("open", id=id)
    assert id in table.view.drawer


def test_read_only(filled: Queue) -> None:
    table = panels.jobs(filled, every=None, read_only=True)
    table.click("choose-all", value=True)
    assert "Retry" not in table.view.tools
    table.click("purge-chosen")
    assert "read-only" in table.view.status


def test_nonsense_from_the_page_changes_nothing(table: JobsPanel) -> None:
    table.click("sort", column="__class__")
    table.click("filter", what="sort", value="x")
    assert table.listing.query.sort == "made"
    table.click("window", start="x", count=None)
    assert table.told.said is not None
    assert table.told.said.kind == "error"

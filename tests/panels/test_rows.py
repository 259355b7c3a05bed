"""What is known of each job: read once, then as the folders say, and what is new of it by and by."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from jobqueue import Queue, panels
from jobqueue.model.status import Status
from jobqueue.panels import listing as listing_module
from jobqueue.panels import rows as rows_module
from jobqueue.panels.census import Census
from jobqueue.panels.jobs import Tabling
from jobqueue.panels.listing import Listing
from jobqueue.panels.rows import KnownRows, row_of
from jobqueue.store.base import digest

from .conftest import extract, scan


@pytest.fixture
def census(filled: Queue) -> Iterator[Census]:
    made = Census(filled)
    made.look()
    yield made
    made.close()


@pytest.fixture
def known(filled: Queue, census: Census) -> KnownRows:
    made = KnownRows(filled, census)
    made.follow()
    read_all(made)
    return made


def read_all(known: KnownRows) -> None:
    known.begin()
    known.go_on(60)


def look(known: KnownRows) -> None:
    known.census.look()
    known.follow()


def right(known: KnownRows) -> bool:
    """Whether each row is what the job's file says; the journal has microseconds, a file more."""
    queue = known.queue
    truth = {job.id: row_of(digest(queue.store.get(job.id))) for job in queue.jobs(limit=None)}
    return known.rows.keys() == truth.keys() and all(same(row, truth[id]) for id, row in known.rows.items())


def same(one: rows_module.Row, other: rows_module.Row) -> bool:
    times = abs(one.run - other.run) < 1e-5 and abs(one.finished - other.finished) < 1e-5
    return times and replace(one, run=0, finished=0) == replace(other, run=0, finished=0)


def test_all_is_read_once_and_then_followed(known: KnownRows, filled: Queue) -> None:
    assert right(known)
    filled.drain([scan, extract], progress=False)
    filled.retry(status="failed")
    filled.purge(status="done")
    filled.with_options(project="p1").enqueue("scan", {"repo": "x"})
    look(known)
    known.read_some()
    assert right(known)
    assert known.values("project") == [("p1", 1)]
    assert dict(known.values("type")) == {"scan": 1, "extract": 2}


def test_where_a_job_lies_is_known_before_it_is_read(known: KnownRows, filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filled.store, "digests", None)
    id = next(iter(known.census.ids[Status.PENDING]))
    held = f"{filled.store.url}/claimed/someone"
    os.mkdir(held)
    os.rename(f"{filled.store.url}/pending/{id}.json", f"{held}/{id}.json")
    look(known)
    assert known.rows[id].status == "claimed"
    os.unlink(f"{held}/{id}.json")
    look(known)
    assert id not in known.rows


def test_a_refresh_reads_a_few_and_much_is_read_in_bulk(
    known: KnownRows, filled: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "AT_ONCE", 2)
    filled.enqueue_many("many", [{"n": n} for n in range(5)])
    look(known)
    known.read_the_rest()
    assert len(known.rows) == 7 + 2, "it was read in bulk a moment ago: not again so soon"
    known.pace.looked = 0.0
    known.read_the_rest()
    known.go_on(60)
    assert right(known)
    assert not known.stale


def test_what_happens_while_all_is_read_is_known_at_its_end(filled: Queue, census: Census) -> None:
    known = KnownRows(filled, census)
    known.follow()
    known.begin()
    for _ in range(3):
        known.go_on(0)
    assert known.share_read == 3 / 7
    filled.drain([scan, extract], progress=False)
    filled.purge(status="done")
    filled.retry(status="failed")
    filled.enqueue("scan", {"repo": "new"})
    look(known)
    known.go_on(60)
    assert known.share_read is None
    known.read_some()
    assert right(known)


def test_a_reading_that_breaks_off_begins_anew(known: KnownRows, filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    known.begin()
    with monkeypatch.context() as patch:
        patch.setattr(filled.store, "digests", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            known.go_on(60)
    assert known.reading is None
    assert right(known)
    read_all(known)
    assert right(known)


def test_after_events_were_lost_all_is_read_again(known: KnownRows, filled: Queue) -> None:
    id = next(iter(known.census.ids[Status.DONE]))
    known.put(replace(known.rows[id], attempts=99))
    known.census.events.watches = {}
    look(known)
    known.pace.looked = 0.0
    known.read_the_rest()
    known.go_on(60)
    assert right(known)


def test_a_look_that_was_missed_is_noticed(known: KnownRows, filled: Queue) -> None:
    filled.purge(status="done")
    known.census.look()
    look(known)
    assert known.lost


def test_very_many_jobs_are_not_read_unasked(filled: Queue, census: Census, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MANY", 6)
    listing = Listing(filled, census)
    for _ in range(3):
        listing.refresh()
    assert not listing.known.whole
    monkeypatch.setattr(rows_module, "MANY", 7)
    listing.refresh()
    assert listing.known.values("type") == [("scan", 5), ("extract", 2)]


def test_many_are_read_by_and_by_and_nothing_is_said_of_it(
    filled: Queue, census: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "SLICE", 0.0)
    listing = Listing(filled, census)
    listing.refresh()
    read = []
    while not listing.known.whole:
        listing.refresh()
        read.append(listing.known.so_far)
        assert listing.share_read is None
    assert read[:4] == [1, 2, 3, 4]
    assert listing.known.values("type") == [("scan", 5), ("extract", 2)]


def test_they_are_read_at_a_click_in_slices_and_it_says_how_far(filled: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MANY", 0)
    monkeypatch.setattr(listing_module, "SLICE", 0)
    monkeypatch.setattr(Tabling, "go_on_soon", lambda panel: None)
    filled.enqueue_many("many", [{"n": n} for n in range(50)])  # the refresher reads some, too
    with panels.jobs(filled, every=None) as table:
        assert "by type, project, batch" in table.view.tools
        table.click("facets")
        assert "by type, project, batch" not in table.view.tools
        assert re.search(r"reading every job once: \d+%", table.view.tools)
        table.click("find", value="nothing like it")
        assert table.rows.widget.page["empty"] == "None so far: the jobs are being read."
        table.click("find", value="")
        while not table.listing.known.whole:
            table.refresh()
        assert "reading every job once" not in table.view.tools
        assert "extract (2)" in table.view.tools


def test_a_filter_is_answered_before_all_is_read_and_comes_to_an_end_by_itself(
    filled: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "MANY", 0)
    monkeypatch.setattr(listing_module, "SLICE", 0)
    with panels.jobs(filled, every=None) as table:
        table.click("filter", what="type", value="extract")
        deadline = time.monotonic() + 20
        while table.rows.widget.page["total"] != 2 or "reading" in table.view.tools:
            assert time.monotonic() < deadline
            time.sleep(0.01)

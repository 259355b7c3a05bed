"""The table of all jobs is what reading, filtering and sorting them anew says, whatever happened and was asked before."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue
from jobqueue.panels import listing as listing_module
from jobqueue.panels import rows as rows_module
from jobqueue.panels.census import Census
from jobqueue.panels.listing import COLUMNS, Listing
from jobqueue.panels.rows import row_of
from jobqueue.store.base import digest

ASKED: list[Callable[[random.Random], dict[str, Any]]] = [
    lambda draw: {"status": draw.choice(["", "pending", "done", "failed"])},
    lambda draw: {"type": draw.choice(["", "scan", "score"])},
    lambda draw: {"sort": draw.choice(COLUMNS)},
    lambda draw: {"descending": draw.random() < 0.5},
    lambda draw: {"text": draw.choice(["", "drop", "10-"])},
]


@pytest.fixture
def listing(queue: Queue) -> Iterator[Listing]:
    queue.enqueue_many("scan", [{"n": n} for n in range(20)])
    queue.enqueue_many("score", [{"n": n} for n in range(20)], project="p1")
    census = Census(queue)
    yield Listing(queue, census)
    census.close()


def refresh(listing: Listing, at_once: bool = True) -> None:
    listing.census.look()
    if at_once:
        listing.pace.looked = listing.known.pace.looked = 0.0
    listing.refresh()


def happen(queue: Queue, draw: random.Random, number: int) -> None:
    """Something that workers, people or programs do to some jobs."""
    jobs = [job.id for job in queue.jobs(limit=None)]
    some = draw.sample(jobs, min(len(jobs), draw.randrange(1, 5)))
    what = draw.choice(["enqueue", "cancel", "purge", "retry", "end", "drop"])
    if what == "enqueue":
        queue.enqueue(draw.choice(["scan", "score", "x"]), {})
    elif what == "drop":
        Path(queue.store.url, "pending", f"drop{number}.json").write_text('{"type": "dropped"}')
    elif what == "end":
        for id in some:
            with suppress(FileNotFoundError):
                os.rename(f"{queue.store.url}/pending/{id}.json", f"{queue.store.url}/done/{id}.json")
    else:
        getattr(queue, what)(some)


def is_right(listing: Listing) -> bool:
    query, key = listing.query, listing.query.key
    rows = {located.job.id: row_of(digest(located)) for located in listing.queue.store.scan(limit=None).items}
    right = sorted(filter(query.matches, rows.values()), key=key, reverse=query.descending)
    return sorted(listing.ids) == sorted(row.id for row in right) and [key(rows[id]) for id in listing.ids] == [
        *map(key, right)
    ]


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_the_table_is_what_all_jobs_say(
    listing: Listing, queue: Queue, seed: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr(listing_module, "FEW", few)
    monkeypatch.setattr(rows_module, "AT_ONCE", draw.choice([2, 500]))
    for step in range(40):
        for number in range(draw.randrange(8)):
            happen(queue, draw, 10 * step + number)
            if draw.random() < 0.3:
                refresh(listing, at_once=False)
        if draw.random() < 0.5:
            listing.ask(**draw.choice(ASKED)(draw))
        for _ in range(60):
            refresh(listing)
            if not listing.known.stale and not listing.changed and listing.known.reading is None:
                break
        assert is_right(listing), f"after step {step}: {listing.query}"

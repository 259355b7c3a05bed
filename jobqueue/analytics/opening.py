"""Opening the files of many jobs, with a bar where it takes long."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from jobqueue.errors import JobNotFound
from jobqueue.store.base import Located, Store

PATIENCE = 1.0
"""Seconds before a bar is shown."""


def opened(store: Store, ids: Sequence[str], progress: bool | None) -> Iterator[Located]:
    """The jobs that are still there."""
    began = time.monotonic()
    for number, id in enumerate(ids):
        if progress or (progress is None and time.monotonic() - began > PATIENCE):
            yield from with_bar(store, ids[number:], number, len(ids))
            return
        if (located := one(store, id)) is not None:
            yield located


def with_bar(store: Store, ids: Sequence[str], before: int, total: int) -> Iterator[Located]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("opening jobs", total=total, completed=before)
        for id in ids:
            if (located := one(store, id)) is not None:
                yield located
            bar.advance(task)


def one(store: Store, id: str) -> Located | None:
    try:
        return store.get(id)
    except JobNotFound:
        return None

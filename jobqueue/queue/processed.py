"""Which items are done at a version, asked from outside of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from jobqueue.model.entry import item_key
from jobqueue.model.request import parse_text, parse_type
from jobqueue.queue.handler import handler_of

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue

K = TypeVar("K")
LOOK_BACK = (timedelta(days=1), timedelta(days=30), None)


def processed(
    self: Queue, type: str | Callable[..., object], keys: Iterable[K], version: str | None = None, *, track: str = "items"
) -> set[K]:
    """Those of the keys that `ctx.track(..., once=True)` in a job of this type would leave out: each was done at `version`.

    By default that is the version at which live workers run the type; where there are none, that of its latest attempt.
    `track` is the `name` of the loop. The answer stands in the journal: purging jobs does not change it.
    """
    name = parse_type(type) if isinstance(type, str) else handler_of(type).type
    version = current_version(self, name) if version is None else parse_text(version, "version")
    known = frozenset[str]() if version is None else self.store.notes.processed(name, version, track)
    return {key for key in keys if item_key(key) in known}


def current_version(queue: Queue, type: str) -> str | None:
    """None where the type has never run."""
    live = [info for info in queue.store.workers() if info.serves(type) and type in info.versions]
    if live:
        return max(live, key=lambda info: info.started_at).versions[type]
    now = queue.clock.now()
    for back in LOOK_BACK:
        entries = queue.store.attempts(since=None if back is None else now - back)
        found = [entry.version for entry in entries if entry.type == type and entry.version is not None]
        if found:
            return found[-1]
    return None

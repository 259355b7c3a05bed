"""The jobs that wait, in the order in which workers take them, as far as their names tell it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from operator import itemgetter

from sortedcontainers import SortedList

from jobqueue.model.names import read_stamp, stamp
from jobqueue.store.layout import SUFFIX, is_delayed_name, is_ours

STAMP = 21
made_at = itemgetter(slice(3, 3 + STAMP))
"""Of an id: what sorts ids by when they were made, as far as they say it. No function, for of a million the calls cost most."""
SLACK = 10_000
"""So many that have gone are kept beside those that wait, and their number once more."""


class Waiting:
    """Iterated, it gives the ids whose names say where they stand. `strangers` are the others: dropped files."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        here = set(ids)
        ours = [id for id in here if is_ours(id + SUFFIX)]
        self.ids = SortedList(ours)
        self.strangers = dict.fromkeys(here.difference(ours))
        self.held = SortedList(made_at(id) for id in ours if is_delayed_name(id))
        """Until when each waits that waits for a time."""
        self.note_due()

    def note_due(self) -> None:
        self.due = sorted(made_at(id) + id for id in self.ids if not is_delayed_name(id))
        """When each of the others was made, and its id behind it; some have gone since."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def add(self, id: str) -> None:
        if not is_ours(id + SUFFIX):
            self.strangers[id] = None
            return
        self.ids.add(id)
        if is_delayed_name(id):
            self.held.add(made_at(id))
        else:
            insort(self.due, made_at(id) + id)

    def drop(self, id: str) -> None:
        if id in self.strangers:
            del self.strangers[id]
            return
        self.ids.remove(id)
        if is_delayed_name(id):
            self.held.remove(made_at(id))

    def delayed(self, now: datetime) -> int:
        """How many wait for a time that their names tell."""
        return len(self.held) - int(self.held.bisect_right(stamp(now)))

    def oldest_due(self, here: Collection[str]) -> datetime | None:
        """Since when the oldest one waits that has no time to wait for, as far as names tell; `here` are all that wait."""
        gone = next((place for place, one in enumerate(self.due) if one[STAMP:] in here), len(self.due))
        del self.due[:gone]
        if len(self.due) > 2 * len(self.ids) + SLACK:
            self.note_due()
        return read_stamp(self.due[0][:STAMP]) if self.due else None

"""What goes into the journal: attempts that have ended, and what people and programs did to the queue."""

from __future__ import annotations

import getpass
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from jobqueue.model.clock import Clock
from jobqueue.model.control import Control, Pause
from jobqueue.model.entry import Entry, EventEntry, attempt_entry, enqueue_entries, first_ids, item_entries
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.store.base import Change, Notes, Put
from jobqueue.store.locks import host


class Journal(Protocol):
    def append(self, entries: Sequence[Entry], now: datetime) -> None: ...


def me() -> str:
    """Who is doing this, for pauses and the like."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


class Recording:
    def __init__(self, journal: Journal, notes: Notes, clock: Clock) -> None:
        self.journal = journal
        self.notes = notes
        self.clock = clock
        self.host = host()
        self.by = me()

    def attempts(self, ended: Iterable[tuple[Job, Attempt, bool]]) -> None:
        """Attempts that have ended, each with whether it may have recorded items."""
        entries: list[Entry] = []
        told: list[str] = []
        for job, attempt, noted in ended:
            entries.append(attempt_entry(job, attempt, self.host))
            if noted and (items := item_entries(job, attempt, self.notes.items(job.id, untold=True))):
                entries += items
                told.append(job.id)
        self.journal.append(entries, self.clock.now())
        for id in told:
            self.notes.items_told(id)

    def enqueued(self, puts: Sequence[Put]) -> None:
        created = [put.located.job for put in puts if put.outcome == "created"]
        if created:
            self.write(enqueue_entries(created, self.clock.now(), self.by, self.host))

    def changed(self, what: str, changes: Sequence[Change]) -> None:
        """What a verb did: one entry for all jobs that it changed."""
        ids = [change.id for change in changes if change.outcome == "changed"]
        if ids:
            self.write([self.event(what, ids)])

    def ended(self, endings: Sequence[tuple[str, Failure]]) -> None:
        """Jobs that ended without a run: expired, skipped, and the like."""
        by_reason: defaultdict[str, list[str]] = defaultdict(list)
        for id, error in endings:
            by_reason[error.reason].append(id)
        self.write([self.event("end", ids, reason=reason) for reason, ids in by_reason.items()])

    def rejected(self, ids: Sequence[str]) -> None:
        if ids:
            self.write([self.event("reject", ids)])

    def ruled(self, before: Control, after: Control) -> None:
        """Pauses that began or ended."""
        types = before.paused_types.keys() | after.paused_types.keys()
        entries = [self.pause_entry(None, after.paused)] if before.paused != after.paused else []
        for type in sorted(types):
            if before.paused_types.get(type) != after.paused_types.get(type):
                entries.append(self.pause_entry(type, after.paused_types.get(type)))
        self.write(entries)

    def pause_entry(self, type: str | None, pause: Pause | None) -> EventEntry:
        if pause is None:
            return EventEntry(what="resume", at=self.clock.now(), by=self.by, host=self.host, type=type)
        return EventEntry(what="pause", at=pause.at, by=pause.by, host=self.host, type=type, reason=pause.reason or None)

    def event(self, what: str, ids: Sequence[str], reason: str | None = None) -> EventEntry:
        return EventEntry(
            what=what,
            at=self.clock.now(),
            by=self.by,
            host=self.host,
            count=len(ids),
            jobs=first_ids(ids),
            reason=reason,
        )

    def write(self, entries: Sequence[Entry]) -> None:
        """What was done is done, whether or not the journal can tell of it."""
        with suppress(OSError):
            self.journal.append(entries, self.clock.now())

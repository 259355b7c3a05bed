"""Retention at work: finished jobs that have lain long enough go to the trash, in small steps; the journal stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from jobqueue.model.retention import Resting, Retention, Sieve
from jobqueue.model.status import Status
from jobqueue.queue.bulk import Bulk
from jobqueue.store.base import Change, Kept, Store

LOOK_AT = 1000
GROUP = 25
"""Jobs that are looked at, and moved, in one step: each takes some ten milliseconds, for a worker has other work to do."""


def retain(store: Store, retention: Retention, now: datetime, *, dry_run: bool = False) -> Iterator[list[Change]]:
    """Applies the rules step by step; each step answers with what became of some jobs, often none.

    Only done and failed jobs are ever looked at, and none is read before it is moved.
    """
    for word, rule in retention.rules.items():
        status, sieve = Status(word), Sieve(rule, now)
        jobs = store.resting(status)
        while some := list(islice(jobs, LOOK_AT)):
            expired = [old for job in some for old in sieve.add(job)]
            yield []
            for start in range(0, len(expired), GROUP):
                yield let_go(store, status, expired[start : start + GROUP], dry_run)


def let_go(store: Store, status: Status, jobs: Sequence[Resting], dry_run: bool) -> list[Change]:
    """To the trash, from where `restore` brings them back. One that has run again meanwhile is no longer meant."""
    unchanged = set(store.resting(status, [job.id for job in jobs]))
    ids = [job.id for job in jobs if job in unchanged]
    return [Change(id, "changed") for id in ids] if dry_run else store.purge(ids)


class Retained(Bulk):
    """What retention did, or would do: the jobs, and in `journal` the files of the journal that went for good."""

    def __init__(self, changes: Sequence[Change], journal: Sequence[Kept], *, dry_run: bool) -> None:
        super().__init__("purge", changes, dry_run=dry_run)
        self.journal = list(journal)

    def __str__(self) -> str:
        if not self.journal:
            return super().__str__()
        size = sum(file.size for file in self.journal)
        files = f"{len(self.journal)} file{'' if len(self.journal) == 1 else 's'} of the journal ({size:,} bytes)"
        return f"{super().__str__()}, {files} {'would be ' if self.dry_run else ''}removed"


def apply_retention(store: Store, retention: Retention, now: datetime, *, dry_run: bool) -> Retained:
    """All of it at once. Of the journal, whichever worker has that duty may do it at the same moment: each file goes once."""
    changes = all_changes(retain(store, retention, now, dry_run=dry_run))
    removed = store.keep_journal(now, retention.journal, dry_run=dry_run) if retention.journal is not None else ()
    return Retained(changes, [kept for kept in removed if kept is not None and kept.change == "removed"], dry_run=dry_run)


def all_changes(steps: Iterable[list[Change]]) -> list[Change]:
    return [change for changes in steps for change in changes]

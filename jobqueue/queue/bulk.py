"""What a verb did to one or many jobs: which were changed, which were not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobqueue.errors import JobNotFound, WrongStatus
from jobqueue.inert import inert
from jobqueue.store.base import Change

PAST = {"retry": "retried", "cancel": "cancelled", "purge": "purged", "delete": "deleted", "restore": "restored"}


class Bulk:
    """The answer of `retry`, `cancel`, `purge`, `delete` and `restore`; its length is the number of jobs changed.

    With `dry_run` nothing was done, and `ids` are those that would be.
    """

    def __init__(self, verb: str, changes: Sequence[Change], *, dry_run: bool = False) -> None:
        self.verb = verb
        self.changes = list(changes)
        self.dry_run = dry_run

    @property
    def ids(self) -> list[str]:
        return [change.id for change in self.changes if change.outcome == "changed"]

    @property
    def cancelling(self) -> list[str]:
        """Running jobs that were asked to stop; they are in failed/ when their process has ended."""
        return [change.id for change in self.changes if change.outcome == "cancelling"]

    @property
    def asked(self) -> dict[str, str]:
        """What to expect of each running job that was asked to stop, by id: a thread can only be asked."""
        return {change.id: change.why for change in self.changes if change.outcome == "cancelling"}

    @property
    def refused(self) -> dict[str, str]:
        """Why, by id."""
        return {change.id: change.why for change in self.changes if change.outcome in ("refused", "missing")}

    def __len__(self) -> int:
        return len(self.ids) + len(self.cancelling)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        count = len(self.ids)
        would = "would be " if self.dry_run else ""
        text = f"{count} job{'' if count == 1 else 's'} {would}{PAST[self.verb]}"
        if self.cancelling:
            text += f", {len(self.cancelling)} running asked to stop"
        if self.refused:
            first = next(iter(self.refused.values()))
            text += f", {len(self.refused)} refused ({first}{'; ...' if len(self.refused) > 1 else ''})"
        return inert(text)

    def raise_if_refused(self) -> None:
        """For a call that names one job: its refusal is an error."""
        for change in self.changes:
            if change.outcome == "missing":
                raise JobNotFound(change.id)
            if change.outcome == "refused":
                status = change.located.status.value if change.located else "?"
                raise WrongStatus(change.id, status, change.why)

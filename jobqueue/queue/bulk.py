"""What a verb did, or would do, to one or many jobs: which were changed, which were not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import msgspec

from jobqueue.errors import InvalidJob, JobNotFound, WrongStatus
from jobqueue.inert import inert
from jobqueue.queue.choosing import slim
from jobqueue.store.base import Change, Located, Seen, Store

if TYPE_CHECKING:
    from jobqueue.queue.frame import DataFrame as DataFrame

PAST = {"retry": "retried", "cancel": "cancelled", "purge": "purged", "delete": "deleted", "restore": "restored"}
BACK = {"purge": "restore", "delete": "restore", "cancel": "restore"}
"""What the undo of a verb is."""
SHOWN = 20
Act = Callable[[Sequence[str], Seen], list[Change]]


class BulkRow(msgspec.Struct, frozen=True):
    """One job of a bulk: `what` was done to it, or would be; `why` not, or what to expect. `status` is where it is."""

    id: str
    type: str | None
    status: str | None
    what: str
    why: str


class Bulk:
    """The answer of `retry`, `cancel`, `purge`, `delete` and `restore`; its length is the number of jobs changed.

    With `dry_run` nothing was done, and `ids` are those that would be; `apply()` does it. `undo()` takes back a purge for as
    long as the trash is kept, and the cancel of jobs that had not begun.
    """

    def __init__(
        self,
        verb: str,
        changes: Sequence[Change],
        *,
        dry_run: bool = False,
        store: Store | None = None,
        act: Act | None = None,
    ) -> None:
        self.verb = verb
        self.changes = list(changes)
        self.dry_run = dry_run
        self.store = store
        self.act = act
        self.spent = ""
        """What was made of it already: neither is done twice."""

    # -- what it says

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

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs were (or would be) `changed`, are `cancelling`, were `refused`, or are `missing`."""
        counted = Counter(change.outcome for change in self.changes)
        return {outcome: counted[outcome] for outcome in ("changed", "cancelling", "refused", "missing")}

    @property
    def rows(self) -> list[BulkRow]:
        """One for each job, in the order in which they were given."""
        return [self.row(change) for change in self.changes]

    def row(self, change: Change) -> BulkRow:
        located = change.located
        type, status = (None, None) if located is None else (located.job.type, located.status.value)
        return BulkRow(change.id, type, status, self.what(change.outcome), change.why)

    def what(self, outcome: str) -> str:
        would = "would be " if self.dry_run else ""
        words = {"changed": would + PAST[self.verb], "cancelling": would + "asked to stop"}
        return words.get(outcome, outcome)

    @property
    def frame(self) -> DataFrame:
        """The rows as a DataFrame."""
        from jobqueue.queue.frame import bulk_frame

        return bulk_frame(self)

    @cached_property
    def batches_reset(self) -> list[str]:
        """Of the batches whose jobs were cancelled here, those of which nothing else is left: as if they had not started."""
        from jobqueue.queue.changing import batches_reset

        return [] if self.store is None or self.verb != "cancel" else batches_reset(self.store, self.changes, self.dry_run)

    @property
    def message(self) -> str:
        """In one sentence, with the batches that were reset."""
        reset = len(self.batches_reset)
        return f"{self}, {reset} batch{'' if reset == 1 else 'es'} reset" if reset else str(self)

    # -- going on from it

    def apply(self) -> Bulk:
        """Does what was rehearsed, to exactly these jobs; one that has changed since is refused, looked at once more as it is
        moved. Raises `InvalidJob` for what is no rehearsal, or was applied before."""
        if not self.dry_run or self.act is None:
            raise InvalidJob(f"apply: this {self.verb} was no rehearsal; only what dry_run=True answers with can be applied")
        self.spend("applied")
        seen = located_of(self.changes)
        chosen = [change.id for change in self.changes if change.outcome in ("changed", "cancelling")]
        done = {change.id: change for change in in_groups(self.act, chosen, seen if self.verb != "restore" else None)}
        changes = [done.get(change.id, change) for change in self.changes]
        return Bulk(self.verb, changes, store=self.store, act=self.act)

    def undo(self) -> Bulk:
        """Takes back what was done. A purge and a delete: out of the trash again. A cancel: jobs that had not begun wait again
        with all they had (what waited for them and was skipped stays skipped); those that ran are refused."""
        if self.dry_run:
            raise InvalidJob(f"undo: nothing was done yet: this {self.verb} is a rehearsal")
        if self.verb not in BACK or self.store is None:
            raise InvalidJob(f"undo: a {self.verb} cannot be taken back; {HINTS.get(self.verb, 'look at each job')}")
        self.spend("undone")
        if self.verb != "cancel":
            return Bulk(BACK[self.verb], in_groups(self.restore, self.ids, None), store=self.store)
        waited = located_of(filter(had_not_begun, self.changes))
        ran = [refusal(change) for change in self.changes if change.id not in waited and change.id not in self.refused]
        return Bulk("restore", [*in_groups(self.uncancel, list(waited), waited), *ran], store=self.store)

    def restore(self, ids: Sequence[str], seen: Seen) -> list[Change]:
        assert self.store is not None
        return self.store.restore(ids)

    def uncancel(self, ids: Sequence[str], seen: Seen) -> list[Change]:
        assert self.store is not None
        return self.store.uncancel(ids, seen=seen)

    def spend(self, word: str) -> None:
        if self.spent:
            raise InvalidJob(f"this {self.verb} was {self.spent} already; begin again with queue.{self.verb}(...)")
        self.spent = word

    # -- as a list of ids, as text, as a table

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
            text += f", {len(self.cancelling)} running {would}asked to stop"
        if self.refused:
            first = next(iter(self.refused.values()))
            text += f", {len(self.refused)} refused ({first}{'; ...' if len(self.refused) > 1 else ''})"
        return inert(text)

    def _repr_html_(self) -> str:
        heads = "".join(f"<th>{word}</th>" for word in BulkRow.__struct_fields__)
        lines = [cells(self.row(change)) for change in self.changes[:SHOWN]]
        left = len(self.changes) - SHOWN
        more = f"<p>and {left:,} more</p>" if left > 0 else ""
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>" if lines else ""
        return f"<p>{escape(str(self))}</p>{table}{more}"

    def raise_if_refused(self) -> None:
        """For a call that names one job: its refusal is an error."""
        for change in self.changes:
            if change.outcome == "missing":
                raise JobNotFound(change.id)
            if change.outcome == "refused":
                status = change.located.status.value if change.located else "?"
                raise WrongStatus(change.id, status, change.why)


HINTS = {
    "retry": "cancel those that still wait: queue.cancel(bulk)",
    "restore": "purge or delete them again: queue.purge(bulk)",
}
GROUP = 1000


def in_groups(act: Act, ids: Sequence[str], seen: Seen) -> list[Change]:
    """Some at a time: what a store answers with holds whole jobs."""
    groups = (ids[start : start + GROUP] for start in range(0, len(ids), GROUP))
    return [slimmed(change) for group in groups for change in act(group, seen)]


def located_of(changes: Iterable[Change]) -> dict[str, Located]:
    return {change.id: change.located for change in changes if change.located is not None}


def slimmed(change: Change) -> Change:
    return change if change.located is None else msgspec.structs.replace(change, located=slim(change.located))


def had_not_begun(change: Change) -> bool:
    return change.outcome == "changed" and change.located is not None and change.located.job.claimed_at is None


def refusal(change: Change) -> Change:
    why = f"{change.id} was running when it was cancelled; retry runs it again from the start"
    return Change(change.id, "refused", change.located, why)


def cells(row: BulkRow) -> str:
    texts = (escape(inert(value or "")) for value in msgspec.structs.astuple(row))
    return f"<tr>{''.join(f'<td>{text}</td>' for text in texts)}</tr>"


__all__ = ["PAST", "Bulk", "BulkRow"]

"""The journal of the store in memory: the same entries, gone with the process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import msgspec

from jobqueue.model.entry import AttemptEntry, Entry
from jobqueue.store.base import Kept


class MemoryJournal:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def append(self, entries: Sequence[Entry], now: datetime) -> None:
        self.entries += entries

    def attempts(self, since: datetime | None = None) -> Iterator[AttemptEntry]:
        for entry in self.entries[:]:
            if isinstance(entry, AttemptEntry) and (
                since is None or (entry.finished_at is not None and entry.finished_at >= since)
            ):
                yield entry

    def lines(self) -> Iterator[bytes]:
        for entry in self.entries[:]:
            yield msgspec.json.encode(entry) + b"\n"

    def keep(self, now: datetime, age: float | None, dry_run: bool) -> Iterator[Kept]:
        """There are no files; the entries of a day that is over for long enough go as one."""
        days: defaultdict[date, list[Entry]] = defaultdict(list)
        for entry in self.entries if age is not None else ():
            moment = entry.finished_at if isinstance(entry, AttemptEntry) else entry.at
            days[now.date() if moment is None else moment.date()].append(entry)
        for day, entries in sorted(days.items()):
            ended = datetime.combine(day, datetime.min.time(), now.tzinfo) + timedelta(days=1)
            if ended < now - timedelta(seconds=age or 0):
                if not dry_run:
                    gone = set(map(id, entries))
                    self.entries = [entry for entry in self.entries if id(entry) not in gone]
                yield Kept(f"{day:%Y%m%d}", sum(len(msgspec.json.encode(entry)) + 1 for entry in entries), "removed")

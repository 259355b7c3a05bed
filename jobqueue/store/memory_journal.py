"""The journal of the store in memory: the same entries, gone with the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from jobqueue.model.entry import AttemptEntry, Entry


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

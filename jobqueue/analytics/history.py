"""The whole journal of a queue in columns, kept up to date: one for each journal and process, however many queues ask."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import pandas as pd

from jobqueue.analytics.engine import Engine, plain_memory
from jobqueue.analytics.following import Followed, Lines, base_name, ends_line, ends_of, new_lines, packed_size
from jobqueue.analytics.reading import read_lines, why_bad
from jobqueue.analytics.saved import Piece, Saved
from jobqueue.analytics.tables import Attempts, Events, Items
from jobqueue.inert import inert, inert_logger
from jobqueue.store.base import Store
from jobqueue.store.derived import JournalFile, JournalFiles
from jobqueue.store.journal_lines import PACKED

log = inert_logger("jobqueue")
MUCH = 8 << 20
"""Bytes: above this several threads read, and what they read is kept for the next process."""
MOST_THREADS = 4


class Skipped(NamedTuple):
    """What was left out of a file: how many lines, the first of them, and why."""

    file: str
    lines: int
    first: int
    why: str


class History:
    """Attempts, items and events of one journal. Every look goes through `refresh`, which one thread at a time does."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.engine = Engine()
        self.named: set[str] = set()
        self.keeping: threading.Thread | None = None
        self.start_anew()

    def start_anew(self) -> None:
        self.files: dict[str, Followed] = {}
        self.skipped: dict[str, Skipped] = {}
        self.attempts, self.items, self.events = Attempts(), Items(), Events()
        self.entries: list[bytes] = []

    # -- keeping up

    def refresh(self, store: Store) -> None:
        """Reads what is new. Where nothing is, this costs a look at the folder."""
        with self.lock:
            try:
                if store.journal_files is None:
                    self.refresh_entries(store)
                else:
                    self.refresh_files(store, store.journal_files)
            except BaseException:  # half of it may have been taken in
                self.start_anew()
                raise

    def refresh_entries(self, store: Store) -> None:
        lines = list(store.journal_lines())
        if lines[: len(self.entries)] != self.entries:  # what was old was removed
            self.start_anew()
        if fresh := lines[len(self.entries) :]:
            self.add([self.taken_apart("memory", 0, Lines(b"".join(fresh), 0))])
            self.entries = lines

    def refresh_files(self, store: Store, files: JournalFiles) -> None:
        now = files.look()
        if [followed.seen for followed in self.files.values()] == now:
            return
        if not self.still_there(files, now):
            self.start_anew()
        with plain_memory():
            self.take_in(store, files, now)

    def take_in(self, store: Store, files: JournalFiles, now: list[JournalFile]) -> None:
        pieces = self.saved_pieces(store, files, now) if not self.files else []
        for seen in now:
            followed = self.files.setdefault(base_name(seen.name), Followed(seen))
            followed.seen = seen
        self.files = {base_name(seen.name): self.files[base_name(seen.name)] for seen in now}
        fresh = list(self.read_files(files, now))
        self.add([*pieces, *fresh])
        for followed in self.files.values():
            if followed.ends[0] != followed.offset:
                followed.ends = ends_of(files, followed.seen.name, followed.offset)
        if sum(piece.end - piece.start for piece in fresh) >= MUCH and store.cache is not None:
            self.keeping = Saved(store.cache, files).keep(fresh, now)

    def still_there(self, files: JournalFiles, now: list[JournalFile]) -> bool:
        """Whether all that was read before is still what the journal says."""
        found = {base_name(seen.name): seen for seen in now}
        for name, followed in self.files.items():
            seen = found.get(name)
            if seen is None:
                return False
            if not followed.goes_on(seen):
                was_packed = seen.name != followed.seen.name and seen.name != name
                if not was_packed or packed_size(files, seen.name) != followed.offset & 0xFFFFFFFF:
                    return False
                followed.seen = seen
            elif seen != followed.seen and not self.is_same(files, followed, seen):
                return False
        return True

    def is_same(self, files: JournalFiles, followed: Followed, seen: JournalFile) -> bool:
        """Whether a file that has grown begins with what was read of it."""
        return ends_line(files, seen, followed.offset) and ends_of(files, seen.name, followed.offset) == followed.ends

    def saved_pieces(self, store: Store, files: JournalFiles, now: list[JournalFile]) -> list[Piece]:
        if store.cache is None or sum(seen.size for seen in now) < MUCH // 8:
            return []
        pieces = Saved(store.cache, files).pieces(now)
        for piece in pieces:
            seen = next(seen for seen in now if base_name(seen.name) == piece.file)
            followed = self.files.setdefault(piece.file, Followed(seen))
            followed.offset, followed.lines = piece.end, piece.first_line + piece.lines
        return pieces

    def read_files(self, files: JournalFiles, now: list[JournalFile]) -> Iterator[Piece]:
        unread = {seen.name: self.unread(files, seen) for seen in now}
        parts = (
            (base_name(seen.name), seen, lines)
            for seen in now
            if unread[seen.name]
            for lines in new_lines(files, seen, self.files[base_name(seen.name)].offset)
        )
        if sum(unread.values()) < MUCH:
            for name, seen, lines in parts:
                yield self.moved_on(self.taken_apart(name, self.files[name].offset, lines), seen)
            return
        with ThreadPoolExecutor(min(MOST_THREADS, len(os.sched_getaffinity(0)))) as pool:
            yield from self.read_beside(pool, parts)

    def read_beside(self, pool: ThreadPoolExecutor, parts: Iterable[tuple[str, JournalFile, Lines]]) -> Iterator[Piece]:
        """Several threads take lines apart; no more wait than there are threads, so that memory stays bounded."""
        waiting: deque[tuple[Future[Piece], JournalFile]] = deque()
        starts: dict[str, int] = {}
        for name, seen, lines in parts:
            start = starts.get(name, self.files[name].offset)
            starts[name] = lines.end
            waiting.append((pool.submit(self.taken_apart, name, start, lines), seen))
            if len(waiting) > MOST_THREADS:
                done, of = waiting.popleft()
                yield self.moved_on(done.result(), of)
        for done, of in waiting:
            yield self.moved_on(done.result(), of)

    def unread(self, files: JournalFiles, seen: JournalFile) -> int:
        """Bytes that are new; of a packed file, which never grows, all that it holds or none."""
        offset = self.files[base_name(seen.name)].offset
        if not seen.name.endswith(PACKED):
            return max(seen.size - offset, 0)
        return 0 if offset else max(packed_size(files, seen.name), seen.size)

    def taken_apart(self, name: str, start: int, lines: Lines) -> Piece:
        parsed, starts = read_lines(self.engine, lines.data)
        bad = len(parsed.bad)
        first = int(parsed.bad[0]) if bad else -1
        why = why_bad(bytes(lines.data[starts[first] : starts[first + 1]])) if bad else ""
        if lines.note:
            bad, first, why = bad + 1, first if bad else len(starts) - 1, why or lines.note
        return Piece(name, start, lines.end, 0, len(starts) - 1, bad, first, why, parsed)

    def moved_on(self, piece: Piece, seen: JournalFile) -> Piece:
        followed = self.files[piece.file]
        piece = piece._replace(first_line=followed.lines)
        followed.offset, followed.lines = piece.end, followed.lines + piece.lines
        return piece

    def add(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self.note(piece)
        parsed = [piece.parsed for piece in pieces]
        self.attempts.add([part.attempts for part in parsed])
        self.items.add([part.items for part in parsed])
        self.events.add([part.events for part in parsed])

    def note(self, piece: Piece) -> None:
        """Each file with lines that were left out is named once."""
        if piece.bad == 0:
            return
        known = self.skipped.get(piece.file)
        if known is not None:
            self.skipped[piece.file] = known._replace(lines=known.lines + piece.bad)
            return
        first = piece.first_line + piece.first_bad + 1
        self.skipped[piece.file] = Skipped(piece.file, piece.bad, first, inert(piece.why))
        if piece.file in self.named:
            return
        self.named.add(piece.file)
        log.warning("journal file %s: line %d is skipped: %s", piece.file, first, piece.why)

    # -- showing

    def frame(self, store: Store, table: str) -> pd.DataFrame:
        """All rows. Its values are ours: what is written to it goes into a copy."""
        with self.lock:
            self.refresh(store)
            shown: pd.DataFrame = getattr(self, table).frame()
            shown.attrs["skipped"] = sum(skipped.lines for skipped in self.skipped.values())
            return shown


by_store: weakref.WeakKeyDictionary[Any, History] = weakref.WeakKeyDictionary()
by_journal: weakref.WeakValueDictionary[tuple[int, int], History] = weakref.WeakValueDictionary()
finding = threading.Lock()
inherited: list[History] = []


def history_of(store: Store) -> History:
    """The history of a store's journal: one for all queues of this process that are open on it."""
    with finding:
        found = by_store.get(store)
        if found is None:
            identity = None if store.journal_files is None else store.journal_files.identity
            found = (None if identity is None else by_journal.get(identity)) or History()
            by_store[store] = found
            if identity is not None:
                by_journal[identity] = found
        return found


def after_fork() -> None:
    """A child shares no lock with its parent: one of them may have been held. What the parent had read is kept, unused:
    to free it would stop DuckDB's threads, which a child does not have, and crash it."""
    global finding
    finding = threading.Lock()
    inherited.extend(by_store.values())
    by_store.clear()
    by_journal.clear()


os.register_at_fork(after_in_child=after_fork)

"""What was read of the journal, kept as Arrow for the next process: taken apart once, not by everybody.

One file for each large reading: its pieces (so much of this journal file), and five tables. A piece counts where the journal
file still holds just what was read. Files that are torn, foreign, or of another version are removed; all else stays.
"""

from __future__ import annotations

import hashlib
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from jobqueue.analytics.following import base_name, ends_line, packed_size
from jobqueue.analytics.reading import Found, Parsed, joined
from jobqueue.store.derived import Cache, JournalFile, JournalFiles
from jobqueue.store.journal_lines import PACKED

VERSION = f"2 duckdb {duckdb.__version__} pyarrow {pa.__version__}"
MAGIC = b"jobqueue"
HEAD = struct.Struct("<8sII")
ENDING = ".arrow"
LOOK_BACK = 4096
ROWS = 1 << 16
PATIENCE = 2.0
"""Seconds."""


class Piece(NamedTuple):
    """Lines of one journal file, from one byte to another, and what they say."""

    file: str
    start: int
    end: int
    first_line: int
    lines: int
    bad: int
    first_bad: int
    why: str
    parsed: Parsed


class Noted(msgspec.Struct, frozen=True):
    """A piece as the head of a file tells it. `rows` are where its rows stand in each of the tables."""

    file: str
    start: int
    end: int
    first_line: int
    lines: int
    bad: int
    first_bad: int
    why: str
    inode: int
    size: int
    changed: int
    check: int
    rows: list[tuple[int, int]]


class Head(msgspec.Struct, frozen=True):
    version: str
    pieces: list[Noted]
    sizes: list[int]
    check: int


class Saved:
    def __init__(self, cache: Cache, files: JournalFiles) -> None:
        self.cache = cache
        self.files = files

    # -- keeping

    def keep(self, fresh: Sequence[Piece], now: Sequence[JournalFile]) -> threading.Thread:
        """In a thread of its own: who has read is not made to wait. The interpreter ends after it."""
        pieces = [whole([*group]) for _, group in groupby(fresh, key=lambda piece: piece.file)]
        noted = self.noted(pieces, {base_name(file.name): file for file in now})
        name = hashlib.sha256(repr([piece[:3] for piece in pieces]).encode()).hexdigest()[:24] + ENDING
        thread = threading.Thread(target=write, args=(self.cache.apart(), name, noted, pieces), name="jobqueue-cache")
        thread.start()
        return thread

    def noted(self, pieces: Sequence[Piece], seen: dict[str, JournalFile]) -> list[Noted]:
        places = [0] * 5
        found = []
        for piece in pieces:
            counts = [table.num_rows for table in tables_of(piece.parsed)]
            rows = [(start, start + count) for start, count in zip(places, counts, strict=True)]
            places = [end for _, end in rows]
            file = seen[piece.file]
            said: dict[str, Any] = {name: getattr(piece, name) for name in Piece._fields[:8]}
            now: dict[str, Any] = {
                "inode": file.inode,
                "size": file.size,
                "changed": file.changed,
                "check": self.check(file, piece.end),
            }
            found.append(Noted(**said, **now, rows=rows))
        return found

    # -- finding again

    def pieces(self, now: Sequence[JournalFile]) -> list[Piece]:
        """For each journal file the pieces that follow each other from its first byte on."""
        seen = {base_name(file.name): file for file in now}
        found: list[tuple[Noted, list[pa.Table]]] = []
        for name in self.cache.names():
            data = self.cache.read(name)
            head = None if data is None else head_in(data)
            good = [] if head is None else [piece for piece in head[0].pieces if self.stands(piece, seen.get(piece.file))]
            tables = tables_in(data, *head) if data is not None and head is not None and good else None
            if tables is None:
                self.cache.remove(name)
                continue
            found += [(piece, tables) for piece in good]
        return [piece_of(noted, tables) for name in seen for noted, tables in chain(name, found)]

    def stands(self, piece: Noted, seen: JournalFile | None) -> bool:
        if seen is None:
            return False
        if seen.name.endswith(PACKED) and seen.inode != piece.inode:
            return piece.start == 0 and packed_size(self.files, seen.name) == piece.end & 0xFFFFFFFF
        if seen.inode != piece.inode or seen.size < piece.size or (seen.size == piece.size and seen.changed != piece.changed):
            return False
        if seen.size == piece.size:
            return True
        return self.check(seen, piece.end) == piece.check and ends_line(self.files, seen, piece.end)

    def check(self, seen: JournalFile, end: int) -> int:
        """Of what stands before the end of a piece: a file that was written anew has something else there."""
        if seen.name.endswith(PACKED):
            return 0
        try:
            with self.files.open(seen.name) as stream:
                stream.seek(max(end - LOOK_BACK, 0))
                return zlib.crc32(stream.read(min(LOOK_BACK, end)))
        except OSError:
            return -1


def write(cache: Cache, name: str, noted: list[Noted], pieces: Sequence[Piece]) -> None:
    threading.main_thread().join(PATIENCE)  # who has just read goes first, unless the process is about to end
    streams = [stream(tables) for tables in zip(*(tables_of(piece.parsed) for piece in pieces), strict=True)]
    check = 0
    for part in streams:
        check = zlib.crc32(part, check)
    head = msgspec.json.encode(Head(VERSION, noted, [part.size for part in streams], check))
    parts: list[Any] = [HEAD.pack(MAGIC, len(head), zlib.crc32(head)), head, *streams]
    cache.write(name, map(memoryview, parts))
    cache.close()


def chain(name: str, found: Iterable[tuple[Noted, list[pa.Table]]]) -> Iterator[tuple[Noted, list[pa.Table]]]:
    mine = [(piece, tables) for piece, tables in found if piece.file == name]
    end = 0
    while nexts := [(piece, tables) for piece, tables in mine if piece.start == end < piece.end]:
        best = max(nexts, key=lambda one: one[0].end)
        yield best
        end = best[0].end


def whole(pieces: Sequence[Piece]) -> Piece:
    """Pieces that follow each other as one."""
    first, last = pieces[0], pieces[-1]
    parts = [piece.parsed for piece in pieces]
    parsed = Parsed(
        joined([part.attempts for part in parts]),
        joined([part.items for part in parts]),
        joined([part.events for part in parts]),
        np.zeros(0, np.int64),
    )
    bad = next((piece for piece in pieces if piece.bad), first)
    return first._replace(
        end=last.end,
        lines=sum(piece.lines for piece in pieces),
        bad=sum(piece.bad for piece in pieces),
        first_bad=bad.first_line - first.first_line + bad.first_bad,
        why=bad.why,
        parsed=parsed,
    )


def tables_of(parsed: Parsed) -> list[pa.Table]:
    attempts, items, events = parsed[:3]
    return [attempts.table, attempts.metrics, items.table, items.metrics, events.table]


def stream(tables: Sequence[pa.Table]) -> pa.Buffer:
    table = pa.concat_tables(tables).unify_dictionaries()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table, max_chunksize=ROWS)
    return sink.getvalue()


def head_in(data: bytes) -> tuple[Head, int] | None:
    """The head, and where it ends; None for what is not ours, or torn."""
    if len(data) < HEAD.size:
        return None
    magic, length, check = HEAD.unpack_from(data)
    end = HEAD.size + length
    if magic != MAGIC or zlib.crc32(data[HEAD.size : end]) != check:
        return None
    try:
        head = msgspec.json.decode(data[HEAD.size : end], type=Head)
    except msgspec.MsgspecError:
        return None
    return (head, end) if head.version == VERSION and len(data) == end + sum(head.sizes) else None


def tables_in(data: bytes, head: Head, end: int) -> list[pa.Table] | None:
    if zlib.crc32(memoryview(data)[end:]) != head.check:
        return None
    tables = []
    for size in head.sizes:
        with pa.ipc.open_stream(pa.py_buffer(memoryview(data)[end : end + size])) as reader:
            tables.append(reader.read_all())
        end += size
    return tables


def piece_of(noted: Noted, tables: list[pa.Table]) -> Piece:
    parts = [table.slice(start, end - start) for table, (start, end) in zip(tables, noted.rows, strict=True)]
    attempts, items, events = Found(*parts[:2]), Found(*parts[2:4]), Found(parts[4], parts[3].slice(0, 0))
    parsed = Parsed(attempts, items, events, np.zeros(0, np.int64))
    where = (noted.file, noted.start, noted.end, noted.first_line, noted.lines)
    return Piece(*where, noted.bad, noted.first_bad, noted.why, parsed)

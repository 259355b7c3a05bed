"""Following a journal: which of its files have what is new, read in whole lines, each once."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

import msgspec

from jobqueue.store.derived import JournalFile, JournalFiles

CHUNK = 32 << 20
"""Bytes that are taken apart at a time."""
LONGEST_LINE = 64 << 20
PACKED = ".gz"
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


class Lines(NamedTuple):
    """Whole lines of a file, and where they stand. `note` is what is wrong with what came behind them."""

    data: bytes
    end: int
    note: str = ""


class Followed:
    """One file, and how far it was read. Packing keeps its name but for the ending, and its lines."""

    def __init__(self, seen: JournalFile) -> None:
        self.seen = seen
        self.offset = 0
        self.lines = 0

    def goes_on(self, now: JournalFile) -> bool:
        """Whether what was read of it still stands there."""
        was = self.seen
        if now.inode != was.inode or now.size < was.size:
            return False
        return now == was or (now.size > was.size and not now.name.endswith(PACKED))


def base_name(name: str) -> str:
    return name.removesuffix(PACKED)


def packed_size(files: JournalFiles, name: str) -> int:
    """How large it is unpacked (modulo 2^32), by the last bytes of the file; -1 where they do not say."""
    try:
        with files.open(name) as stream:
            raw: IO[bytes] = stream.fileobj  # type: ignore[attr-defined]
            raw.seek(-4, 2)
            return int.from_bytes(raw.read(4), "little")
    except (OSError, ValueError, AttributeError):
        return -1


def new_lines(files: JournalFiles, seen: JournalFile, start: int) -> Iterator[Lines]:
    """What stands in a file from `start` on, as far as it reached at that look."""
    try:
        with files.open(seen.name) as stream:
            if seen.name.endswith(PACKED):
                if start:
                    stream.seek(start)
                yield from whole_lines(stream, start, None)
            else:
                stream.seek(start)
                yield from whole_lines(stream, start, seen.size)
    except FileNotFoundError:  # the next look tells
        return


def whole_lines(stream: IO[bytes], position: int, end: int | None) -> Iterator[Lines]:
    """In chunks. A last line without its end counts where it is whole: its writer died just before the end of the line."""
    rest, skipping = b"", False
    while True:
        try:
            data = stream.read(CHUNK if end is None else min(CHUNK, end - position - len(rest)))
        except DAMAGED as error:
            yield Lines(b"", position, f"damaged, and read as far as it goes: {error}")
            return
        if not data:
            break
        cut = data.rfind(b"\n") + 1
        if cut == 0:
            rest += data
            if len(rest) > LONGEST_LINE:
                position, rest, skipping = position + len(rest), b"", True
            continue
        lines, rest = rest + data[:cut], data[cut:]
        position += len(lines)
        if skipping:
            lines = b"?" + lines[lines.index(b"\n") :]
            skipping = False
        yield Lines(lines, position)
    if rest and is_whole(rest):
        yield Lines(rest + b"\n", position + len(rest))


def is_whole(line: bytes) -> bool:
    if not line.rstrip().endswith(b"}"):
        return False
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True

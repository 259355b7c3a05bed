"""Following a journal: which of its files have what is new, read in whole lines, each once."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from typing import NamedTuple

import msgspec

from jobqueue.store.derived import JournalFile, JournalFiles
from jobqueue.store.journal_lines import AT_ONCE, LONGEST, MOST_UNPACKED, PACKED

CHUNK = 32 << 20
"""Bytes that are taken apart at a time."""
ENDS = 128
"""Bytes at each end of what was read; those of a first line have the id of a job in them."""
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


Bytes = bytes | memoryview


class Lines(NamedTuple):
    """Whole lines of a file, and where they end. `note` is what is wrong with what came behind them."""

    data: Bytes
    end: int
    note: str = ""


class Followed:
    """One file, and how far it was read. Packing keeps its name but for the ending, and its lines."""

    def __init__(self, seen: JournalFile) -> None:
        self.seen = seen
        self.offset = 0
        self.lines = 0
        self.ends: tuple[int, bytes] = (0, b"")
        """The first and last bytes of what was read, and how much that was."""

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
            raw: BufferedIOBase = stream.fileobj  # type: ignore[attr-defined]
            raw.seek(-4, 2)
            return int.from_bytes(raw.read(4), "little")
    except (OSError, ValueError, AttributeError):
        return -1


def ends_of(files: JournalFiles, name: str, offset: int) -> tuple[int, bytes]:
    """A folder that was removed and made anew gets the inodes of the old one, and a journal grows: its first and last lines
    tell it from the other."""
    if offset == 0 or name.endswith(PACKED):
        return 0, b""
    try:
        with files.open(name) as stream:
            head = stream.read(min(offset, ENDS))
            stream.seek(max(offset - ENDS, 0))
            return offset, head + stream.read(min(offset, ENDS))
    except OSError:
        return offset, b""


def ends_line(files: JournalFiles, seen: JournalFile, offset: int) -> bool:
    """Whether a line ends where the reader stopped. A last line that lacked its end may have gone on, and be another."""
    if offset in (0, seen.size) or seen.name.endswith(PACKED):
        return True
    try:
        with files.open(seen.name) as stream:
            stream.seek(offset - 1)
            return b"\n" in stream.read(2)
    except OSError:
        return False


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


def whole_lines(stream: BufferedIOBase, position: int, end: int | None) -> Iterator[Lines]:
    """In chunks. A last line without its end counts where it is whole: its writer died just before the end of the line."""
    rest, skipping, damage = b"", False, ""
    while not damage:
        left = (MOST_UNPACKED if end is None else end) - position - len(rest)
        data, tail, damage = block(
            stream, left if left <= CHUNK * 5 // 4 else CHUNK
        )  # a small rest would cost like a large one
        if not data and not tail:
            if damage:
                yield Lines(b"", position, damage)
            break
        lines: Bytes = rest + data if rest and data else data
        rest = tail if data else rest + tail
        position += len(lines)
        if lines and skipping:
            whole = bytes(lines)
            lines, skipping = b"?" + whole[whole.index(b"\n") :], False
        if len(rest) > LONGEST:
            position, rest, skipping = position + len(rest), b"", True
        if lines or damage:
            yield Lines(lines, position, damage)
    if rest and not damage and is_whole(rest):
        yield Lines(rest + b"\n", position + len(rest))


def block(stream: BufferedIOBase, size: int) -> tuple[Bytes, bytes, str]:
    """About so many bytes: whole lines, what stands behind the last of them, and what is wrong with what comes then."""
    if isinstance(stream, gzip.GzipFile):
        data, damage = unpacked(stream, size)
        cut = data.rfind(b"\n") + 1
        return memoryview(data)[:cut], data[cut:], damage
    data = stream.read(max(size, 0))
    cut = data.rfind(b"\n") + 1
    if 0 < cut < len(data):  # the rest is read again, which is cheaper than to copy what is much more
        stream.seek(cut - len(data), 1)
        return memoryview(data)[:cut], b"", ""
    return (data, b"", "") if cut else (b"", data, "")


def unpacked(stream: gzip.GzipFile, size: int) -> tuple[bytes, str]:
    """So many bytes, or those up to the end or the damage, and what that is."""
    start = stream.tell()
    try:
        return stream.read(max(size, 0)), ""
    except DAMAGED:  # what came before it went with the call: it is read again, in small parts
        stream.rewind()
        stream.seek(start)
        return unpacked_to_the_damage(stream, size)


def unpacked_to_the_damage(stream: gzip.GzipFile, size: int) -> tuple[bytes, str]:
    parts: list[bytes] = []
    while size > 0:
        try:
            part = stream.read1(min(size, AT_ONCE))
        except DAMAGED as error:
            return b"".join(parts), f"damaged, and read as far as it goes: {error}"
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts), ""


def is_whole(line: bytes) -> bool:
    if not line.rstrip().endswith(b"}"):
        return False
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True

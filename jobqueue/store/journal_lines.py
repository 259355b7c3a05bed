"""Reading files of the journal, whatever lies there: torn lines, endless ones, folders, pipes, damaged archives. What cannot
be read is skipped; nothing blocks, and memory stays bounded."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from io import BufferedIOBase

import msgspec

from jobqueue.model.entry import ITEM, AttemptEntry
from jobqueue.model.job import Aware
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE as UNREADABLE_TEXT

ENDING = ".jsonl"
PACKED = ".gz"
LINE_FEED = b"\n"
AT_ONCE = 1 << 18
LONGEST = 4 << 20
"""Bytes of a line; none of ours comes near it. Of a longer one only the start is given, which is no entry."""
SHOWN = 1000
MOST_UNPACKED = 1 << 28
"""Bytes that are read of one packed file, and of a plain one that is packed: a few kilobytes can be unpacked to no end."""
TAIL = 1 << 16
"""Bytes that are looked at first from the end of a file by who wants what is new; the double of it then, and so on."""
DISORDER = timedelta(minutes=1)
"""By so much may an attempt stand behind a later one: an outcome waits for others, or for the disk, before it is written."""
UNREADABLE = (OSError, EOFError, zlib.error)
"""A file that is gone, or no file, or not ours to read, or packed and damaged: the rest of it is skipped."""
UTC = timezone.utc
EVENT_OR_ITEM = b'{"what":'
attempt_decoder = msgspec.json.Decoder(AttemptEntry)


class Timed(msgspec.Struct):
    finished_at: Aware | None = None
    at: Aware | None = None
    what: str | None = None


class Said(msgspec.Struct):
    what: str


timed_decoder = msgspec.json.Decoder(Timed)


def attempt_in(line: bytes) -> AttemptEntry | None:
    """None for a line that is torn, or about something else."""
    if line.startswith(EVENT_OR_ITEM):
        return None
    try:
        return attempt_decoder.decode(line)
    except UNREADABLE_TEXT:
        return None


def is_entry(line: bytes) -> bool:
    """Whether a line can be read: an attempt, or anything that says what it is."""
    if attempt_in(line) is not None:
        return True
    try:
        return bool(msgspec.json.decode(line, type=Said).what)
    except UNREADABLE_TEXT:
        return False


def latest_in(block: bytes) -> datetime | None:
    """The latest time in some lines; those of items tell nothing of when they were written."""
    times = []
    for line in block.split(LINE_FEED):
        try:
            entry = timed_decoder.decode(line)
        except UNREADABLE_TEXT:
            continue
        if entry.what != ITEM and (moment := entry.finished_at or entry.at) is not None:
            times.append(moment)
    return max(times, default=None)


@contextmanager
def open_journal(folder: int, name: str) -> Iterator[BufferedIOBase]:
    """A file of the journal as it was written, packed or not. Only a regular file is opened: a pipe would block."""
    try:
        file = files.open_regular(folder, name)
    except FileNotFoundError:
        if name.endswith(PACKED):
            raise
        name += PACKED  # it was packed since its name was read
        file = files.open_regular(folder, name)
    with os.fdopen(file, "rb") as stream:
        if name.endswith(PACKED):
            with gzip.open(stream) as unpacked:
                yield unpacked
        else:
            yield stream


def lines_in(stream: BufferedIOBase) -> Iterator[bytes]:
    """With their line feeds; the last one may lack it."""
    rest, room = b"", MOST_UNPACKED if is_packed(stream) else None
    while block := stream.read1(AT_ONCE):
        *lines, rest = (rest + block).split(LINE_FEED)
        for line in lines:
            yield line + LINE_FEED
        if len(rest) > LONGEST:
            yield rest[:SHOWN] + LINE_FEED
            rest = behind_line(stream, room)
        if room is not None and stream.tell() > room:
            return
    if rest:
        yield rest


def behind_line(stream: BufferedIOBase, room: int | None) -> bytes:
    """What was read behind the end of a line that is too long."""
    while block := stream.read1(AT_ONCE):
        _, found, rest = block.partition(LINE_FEED)
        if found or (room is not None and stream.tell() > room):
            return rest
    return b""


def is_packed(stream: BufferedIOBase) -> bool:
    return isinstance(stream, gzip.GzipFile)


def start_of(stream: BufferedIOBase, since: datetime) -> int:
    """A place in the file before everything that came since then, found by looking back from the end.

    Times rise in a file, but for a late one here and there, so that one look takes in many lines.
    """
    size = stream.seek(0, os.SEEK_END)
    length = TAIL
    while length < size:
        start = size - length
        stream.seek(start)
        torn, _, block = stream.read(min(length // 2, AT_ONCE)).partition(LINE_FEED)
        latest = latest_in(block)
        if latest is not None and latest < moment_before(since):
            return start + len(torn) + 1
        length *= 2
    return 0


def moment_before(since: datetime) -> datetime:
    """A little earlier, in UTC; the edges of time stay what they are."""
    try:
        return since.astimezone(UTC) - DISORDER
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def kind_of(mode: int) -> str:
    """In words, for what is no regular file; empty for one."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symlink", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return "" if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "a device")

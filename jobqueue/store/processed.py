"""Which items are done: for each type and version a small file, derived from the journal and from nothing else.

    .jobqueue/processed/<hash of type and version>.jsonl
        {"type":"cards","version":"v3"}
        {"file":"20261122-0","start":0,"size":81234,"items":{"items":["a1","b2"]}}

Each line tells what one file of the journal says from one byte to another. Whoever asks reads what has come since and adds
a line, so that every byte of the journal is read once for each type and version, by all processes together. A line that a
crash or a power cut took is missed (the next one does not start where the last one known ends) and read again; a file of
the journal that is gone takes its items with it; without the small file it is all read again. Nothing here needs a sync.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress

import msgspec

from jobqueue.model.entry import ITEM, ItemEntry
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE as UNREADABLE_TEXT
from jobqueue.store.journal import Journal
from jobqueue.store.journal_lines import AT_ONCE, LINE_FEED, LONGEST, PACKED, UNREADABLE

MARK = b'"item"'
MOST_IN_LINE = 10_000
BOOK = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
encode = msgspec.json.Encoder().encode
item_decoder = msgspec.json.Decoder(ItemEntry)


class Chapter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file of the journal tells from byte `start` to byte `size`: the keys of items, by track."""

    file: str
    start: int
    size: int
    items: dict[str, list[str]] = {}


chapter_decoder = msgspec.json.Decoder(Chapter)


class Book:
    """All that is known of one type and version."""

    def __init__(self, inode: int = 0) -> None:
        self.inode = inode
        self.position = 0
        self.sizes: dict[str, int] = {}
        self.complete: dict[str, int] = {}
        """Packed files that have nothing new, by their inode."""
        self.keys: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        """By file and track."""
        self.merged: dict[str, set[str]] = {}

    def add(self, chapter: Chapter) -> None:
        known = self.sizes.get(chapter.file, 0)
        if chapter.start > known:
            return  # a line before it is lost: what it told is read again
        self.sizes[chapter.file] = max(known, chapter.size)
        for track, keys in chapter.items.items():
            self.keys[chapter.file][track].update(keys)
            if track in self.merged:
                self.merged[track].update(keys)

    def forget(self, file: str) -> None:
        for part in (self.sizes, self.complete, self.keys):
            part.pop(file, None)
        self.merged.clear()

    def done(self, track: str) -> Set[str]:
        if track not in self.merged:
            self.merged[track] = set().union(*(tracks[track] for tracks in self.keys.values() if track in tracks))
        return self.merged[track]


class Processed:
    """`keys` of a type, version and track. The books are remembered: a process that asks again reads only what is new."""

    def __init__(self, folder: int, journal: Journal) -> None:
        self.folder = folder
        self.journal = journal
        self.books: dict[str, Book] = {}
        self.lock = threading.Lock()

    def keys(self, type: str, version: str, track: str) -> Set[str]:
        title = encode({"type": type, "version": version}) + LINE_FEED
        name = hashlib.blake2b(title, digest_size=16).hexdigest() + ".jsonl"
        with self.lock, self.opened(name) as file:
            book = self.known(name, file)
            self.drop_gone(book)
            if file is not None and book.position == 0:
                self.write(file, title)
            for chapter in self.news(book, type, version):
                book.add(chapter)
                if file is not None:
                    self.write(file, encode(chapter) + LINE_FEED)
            book.position = 0 if file is None else os.fstat(file).st_size
            return frozenset(book.done(track))

    @contextmanager
    def opened(self, name: str) -> Iterator[int | None]:
        """Ours alone for as long as the block lasts; None where there can be no such file: then it is only remembered."""
        try:
            file = os.open(name, BOOK, 0o600, dir_fd=self.folder)
        except OSError:
            yield None
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def write(self, file: int, data: bytes) -> None:
        with suppress(OSError):  # a full disk: who asks next reads it again
            files.write_all(file, data)

    def known(self, name: str, file: int | None) -> Book:
        """What stands in the file, with what was remembered of it."""
        inode, size = (0, 0) if file is None else ((seen := os.fstat(file)).st_ino, seen.st_size)
        book = self.books.get(name)
        if book is None or book.inode != inode or book.position > size:
            book = self.books[name] = Book(inode)
        if file is None:
            return book
        rest = b""
        while data := os.pread(file, AT_ONCE, book.position):
            book.position += len(data)
            *lines, rest = (rest + data).split(LINE_FEED)
            for line in lines:
                with suppress(*UNREADABLE_TEXT):
                    book.add(chapter_decoder.decode(line))
        if rest:
            self.write(file, LINE_FEED)
        return book

    def drop_gone(self, book: Book) -> None:
        """What retention or a person has taken out of the journal is not known any more."""
        here = {stem_of(name) for name in self.journal.names()}
        for file in [file for file in book.sizes if file not in here]:
            book.forget(file)

    def news(self, book: Book, type: str, version: str) -> Iterator[Chapter]:
        for name in self.journal.names():
            stem = stem_of(name)
            with suppress(*UNREADABLE):
                inode, size = self.look(name)
                known = book.sizes.get(stem, 0)
                if name.endswith(PACKED) and book.complete.get(stem) == inode:
                    continue
                if size < known:  # it is another one than it was
                    book.forget(stem)
                    known = 0
                if size > known:
                    yield from self.read(name, known, type, version)
                book.complete[stem] = inode

    def look(self, name: str) -> tuple[int, int]:
        """The inode of a file of the journal, and its size when it is not packed (as its last bytes tell it)."""
        file = files.open_regular(self.journal.folder, name)
        try:
            seen = os.fstat(file)
            if not name.endswith(PACKED):
                return seen.st_ino, seen.st_size
            end = os.pread(file, 4, max(0, seen.st_size - 4))
            return seen.st_ino, struct.unpack("<I", end)[0] if len(end) == 4 else 0
        finally:
            os.close(file)

    def read(self, name: str, start: int, type: str, version: str) -> Iterator[Chapter]:
        rest, stem, position, items = b"", stem_of(name), start, defaultdict[str, list[str]](list)
        with self.journal.open(name) as stream:
            stream.seek(start)
            while block := stream.read1(AT_ONCE):
                whole, found, rest = (rest + block).rpartition(LINE_FEED)
                if not found and len(rest) > LONGEST:  # no line of ours: what follows in it is none either
                    whole, rest = rest, b""
                position += len(whole) + len(found)
                if MARK in whole:
                    for entry in items_in(whole):
                        if entry.type == type and entry.version == version:
                            items[entry.track].append(entry.key)
                if sum(map(len, items.values())) >= MOST_IN_LINE:
                    yield Chapter(stem, start, position, dict(items))
                    start, items = position, defaultdict(list)
        if position > start:
            yield Chapter(stem, start, position, dict(items))


def items_in(lines: bytes) -> Iterator[ItemEntry]:
    for line in lines.split(LINE_FEED):
        if MARK in line:
            with suppress(*UNREADABLE_TEXT):
                entry = item_decoder.decode(line)
                if entry.what == ITEM:
                    yield entry


def stem_of(name: str) -> str:
    return name.removesuffix(PACKED).removesuffix(".jsonl")

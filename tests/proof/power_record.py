"""Records the system calls that change a queue folder, each with the files and folders it touches, by inode."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobqueue.store import files


class Event(NamedTuple):
    """`kind` is make, swap, move, gone (names: `entries` are (folder, name) pairs), data, cut, sync, sync all or note."""

    kind: str
    node: int = 0
    entries: tuple[tuple[int, str], ...] = ()
    at: int = 0
    data: bytes = b""
    is_folder: bool = False


@dataclass
class Tree:
    """Folders by their number: what each name leads to; and the contents of the files."""

    names: dict[tuple[int, str], int] = field(default_factory=dict)
    folders: set[int] = field(default_factory=set)
    contents: dict[int, bytes] = field(default_factory=dict)


class Recorder:
    """Numbers stand for inodes, since a file system gives the number of a removed one to the next."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[Event] = []
        self.base = Tree()
        self.numbers: dict[int, int] = {}
        self.top = self.number_of(os.stat(root).st_ino)
        self.base.folders.add(self.top)
        self.walk(root, self.top)
        self.journal = self.numbers[os.stat(root / ".jobqueue" / "journal").st_ino]
        """It is never synced and decides nothing, so it is left out: its states would multiply all others."""

    def number_of(self, inode: int, new: bool = False) -> int:
        if new or inode not in self.numbers:
            self.count = getattr(self, "count", 0) + 1
            self.numbers[inode] = self.count
        return self.numbers[inode]

    def walk(self, path: Path, number: int) -> None:
        for entry in sorted(path.iterdir()):
            node = self.number_of(entry.stat().st_ino)
            self.base.names[(number, entry.name)] = node
            if entry.is_dir():
                self.base.folders.add(node)
                self.walk(entry, node)
            else:
                self.base.contents[node] = entry.read_bytes()

    def note(self) -> None:
        """Here an operation has answered."""
        self.events.append(Event("note"))

    def of(self, file: int) -> int | None:
        return self.numbers.get(os.fstat(file).st_ino)

    def entry(self, path: Any, folder: int | None) -> tuple[int, str] | None:
        name = os.fsdecode(path)
        if folder is None:
            parent = self.numbers.get(os.stat(os.path.dirname(name) or ".").st_ino)
        else:
            parent = self.of(folder)
        return None if parent in (None, self.journal) else (parent, os.path.basename(name))

    # -- the calls

    def open(self, call: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            there = self.there(path, dir_fd) if flags & os.O_CREAT else True
            file = call(path, flags, mode, dir_fd=dir_fd)
            if not there and (entry := self.entry(path, dir_fd)) is not None:
                self.events.append(Event("make", self.number_of(os.fstat(file).st_ino, new=True), (entry,)))
            return file

        return opened

    def there(self, path: Any, folder: int | None) -> bool:
        try:
            os.stat(path, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def write(self, call: Callable[..., int]) -> Callable[..., int]:
        def written(file: int, data: bytes) -> int:
            node = self.of(file)
            at = os.fstat(file).st_size if node else 0
            count = call(file, data)
            if node is not None:
                self.events.append(Event("data", node, at=at, data=bytes(data[:count])))
            return count

        return written

    def pwrite(self, call: Callable[..., int]) -> Callable[..., int]:
        def written(file: int, data: bytes, at: int) -> int:
            self.events.append(Event("data", self.of(file) or 0, at=at, data=bytes(data)))
            return call(file, data, at)

        return written

    def ftruncate(self, call: Callable[..., None]) -> Callable[..., None]:
        def cut(file: int, size: int) -> None:
            call(file, size)
            if (node := self.of(file)) is not None:
                self.events.append(Event("cut", node, at=size))

        return cut

    def fsync(self, call: Callable[..., None]) -> Callable[..., None]:
        def synced(file: int) -> None:
            if (node := self.of(file)) is not None:
                self.events.append(Event("sync", node, is_folder=os.path.isdir(f"/proc/self/fd/{file}")))

        return synced  # the real one changes nothing that can be seen without a power cut

    def mkdir(self, call: Callable[..., None]) -> Callable[..., None]:
        def made(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            call(path, mode, dir_fd=dir_fd)
            entry = self.entry(path, dir_fd)
            if entry is not None:
                node = self.number_of(os.stat(path, dir_fd=dir_fd).st_ino, new=True)
                self.events.append(Event("make", node, (entry,), is_folder=True))

        return made

    def gone(self, call: Callable[..., None]) -> Callable[..., None]:
        def removed(path: Any, *, dir_fd: int | None = None) -> None:
            entry = self.entry(path, dir_fd)
            node = self.numbers.get(os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino, 0)
            is_folder = os.path.isdir(f"/proc/self/fd/{dir_fd}/{os.fsdecode(path)}") if dir_fd is not None else False
            call(path, dir_fd=dir_fd)
            if entry is not None:
                self.events.append(Event("gone", node, (entry,), is_folder=is_folder))

        return removed

    def replace(self, call: Callable[..., None]) -> Callable[..., None]:
        def replaced(source: Any, target: Any, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            call(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            entries = (self.entry(source, src_dir_fd), self.entry(target, dst_dir_fd))
            self.events.append(Event("move", entries=entries))  # type: ignore[arg-type]

        return replaced

    def renameat2(self, call: Callable[..., int]) -> Callable[..., int]:
        def renamed(source: int, name: bytes, target: int, new_name: bytes, flags: int) -> int:
            answer = call(source, name, target, new_name, flags)
            if answer == 0:
                entries = (self.entry(name, source), self.entry(new_name, target))
                kind = "swap" if flags & files.RENAME_EXCHANGE else "move"
                self.events.append(Event(kind, entries=entries))  # type: ignore[arg-type]
            return answer

        return renamed

    def syncfs(self, call: Callable[..., int]) -> Callable[..., int]:
        def synced(folder: int) -> int:
            self.events.append(Event("sync all"))
            return 0

        return synced

    @contextmanager
    def recording(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("open", "write", "pwrite", "ftruncate", "fsync", "mkdir", "replace"):
                patch.setattr(os, name, getattr(self, name)(getattr(os, name)))
            for name in ("unlink", "rmdir"):
                patch.setattr(os, name, self.gone(getattr(os, name)))
            for name in ("renameat2", "syncfs"):
                patch.setattr(files, name, getattr(self, name)(getattr(files, name)))
            yield

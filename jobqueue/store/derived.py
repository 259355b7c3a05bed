"""What a store offers to those who make something of its journal: the files themselves, and a place to keep what they made."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from io import BufferedIOBase
from typing import NamedTuple, Protocol


class JournalFile(NamedTuple):
    """A file of the journal as it was at a look. It grows at its end; any other change makes it another file."""

    name: str
    inode: int
    size: int
    changed: int
    """Its mtime in nanoseconds."""


class JournalFiles(Protocol):
    """The journal as files, for who reads a million lines at a time and follows what comes."""

    @property
    def identity(self) -> tuple[int, int]:
        """Tells one journal from all others on this machine."""

    def look(self) -> list[JournalFile]:
        """The files that count now, in the order of their names."""

    def open(self, name: str) -> AbstractContextManager[BufferedIOBase]:
        """The lines of a file, unpacked. `OSError` where it is gone."""


class Cache(Protocol):
    """A place for what was derived from the journal. It may be emptied at any time, and nothing here ever raises."""

    def names(self) -> list[str]:
        """What is kept."""

    def read(self, name: str) -> bytes | None:
        """All of it; None where it is gone, or is no plain file of ours."""

    def write(self, name: str, parts: Iterable[bytes | memoryview]) -> bool:
        """Keeps it, in one step; False where the folder may not be written to, or is full."""

    def remove(self, name: str) -> None: ...

    def apart(self) -> Cache:
        """The same for a thread that may go on after the store was closed; it must `close` it."""

    def close(self) -> None: ...

"""Group commit: many files made durable by one sync, and callers in many threads sharing it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from jobqueue.store import files

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT)
RESERVE_SIZE = 16 << 10
BALLAST_SIZE = 128 << 10
PIECE = 8 << 10
FEW = 4
"""Up to this many files are synced one by one; more share one sync of the whole file system."""


class Scratch:
    """The temporary files of one process: written and synced here, then renamed to where they belong."""

    def __init__(self, folder: int, durable: bool) -> None:
        self.folder = folder
        self.durable = durable
        self.reserve: Reserve | None = None
        self.lock = threading.Lock()
        self.start_anew()

    def start_anew(self) -> None:
        self.process = os.getpid()
        self.prefix = f"{self.process}-{os.urandom(6).hex()}-"
        self.number = 0

    def new_name(self) -> str:
        with self.lock:
            if self.process != os.getpid():  # a forked child must not count on where its parent does
                self.start_anew()
            self.number += 1
            return f"{self.prefix}{self.number}"

    def write(self, blobs: Sequence[bytes], *, reserve: bool = False) -> list[str]:
        """One temporary file for each blob, durable (if durability is strict) when this returns, or none at all.

        With `reserve` a single blob goes into the reserve where the disk is full. That is for whoever exchanges the file
        with another, which becomes the next reserve; all else would use it up, and then nothing could finish.
        """
        try:
            return self.write_group(blobs)
        except OSError as error:
            if not reserve or error.errno not in FULL or self.reserve is None or len(blobs) != 1:
                raise
            return [self.write_reserve(self.reserve, blobs[0], error)]

    def write_reserve(self, reserve: Reserve, blob: bytes, refused: OSError) -> str:
        while True:
            try:
                return reserve.use(self.folder, self.new_name(), blob, self.durable)
            except FileNotFoundError:  # somebody has removed it
                raise refused from None
            except OSError as error:  # more than its blocks can hold
                if error.errno not in FULL or not self.make_room():
                    raise

    def make_room(self) -> bool:
        """On a full disk: gives a piece of the ballast back to it; False where there is none left."""
        return self.reserve is not None and self.reserve.give_way()

    def write_group(self, blobs: Sequence[bytes]) -> list[str]:
        names: list[str] = []
        one_by_one = self.durable and len(blobs) <= FEW
        try:
            for blob in blobs:
                name = self.new_name()
                files.write_new(self.folder, name, blob, sync=one_by_one)
                names.append(name)
            if self.durable and not one_by_one:
                files.sync_file_system(self.folder)
            if self.reserve is not None and self.reserve.given:
                self.reserve.refill(self.folder, self.new_name())
        except BaseException:
            self.discard(names)
            raise
        return names

    def replace(self, folder: int, name: str, data: bytes) -> None:
        """Writes a support file anew, in one step: nobody ever reads half of it."""
        (temporary,) = self.write([data])
        try:
            files.replace(self.folder, temporary, folder, name)
        except BaseException:
            self.discard([temporary])
            raise
        self.settle([folder])

    def settle(self, folders: Iterable[int], witness: tuple[int, str] | None = None) -> None:
        """Makes the renames into these folders durable.

        `witness` is one of the renamed files. On xfs only a sync of a file, not that of a folder, tells that the file
        system was shut down in between; on a healthy disk it costs next to nothing.
        """
        if not self.durable:
            return
        file = None if witness is None else files.open_witness(*witness)
        try:
            for folder in folders:
                files.sync_folder(folder)
            if file is not None:
                files.sync_file(file)
        finally:
            if file is not None:
                os.close(file)

    def discard(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(OSError):
                if self.reserve is None or not self.reserve.take_back(self.folder, name):
                    files.remove(self.folder, name)


class Reserve:
    """A small file that a worker keeps for a full disk: finishing a job needs a temporary file, and on a full disk only
    finishing jobs would make room for one. What it changes places with becomes the next reserve.

    Beside it lies the ballast. A larger outcome needs more blocks than its job had, and a folder needs one for each fifty
    names or so: for those a piece of the ballast is given back, and taken again when there is room."""

    def __init__(self, folder: int, name: str, ballast: str) -> None:
        self.folder = folder
        self.name = name
        self.ballast = ballast
        self.used = ""
        self.given = 0
        files.write_new(folder, name, bytes(RESERVE_SIZE))
        try:
            files.write_new(folder, ballast, bytes(BALLAST_SIZE))
        except OSError:  # the reserve alone is better than none
            self.given = BALLAST_SIZE

    def give_way(self) -> bool:
        if self.given >= BALLAST_SIZE:
            return False
        self.given += PIECE
        try:
            files.shorten(self.folder, self.ballast, BALLAST_SIZE - self.given)
        except FileNotFoundError:
            self.given = BALLAST_SIZE
            return False
        return True

    def refill(self, folder: int, temporary: str) -> None:
        """Where there is room for a whole one again; else what is left stays."""
        with suppress(OSError):
            files.write_new(folder, temporary, bytes(BALLAST_SIZE))
            files.replace(folder, temporary, self.folder, self.ballast)
            self.given = 0

    def use(self, folder: int, name: str, data: bytes, durable: bool) -> str:
        files.move(self.folder, self.name, folder, name)
        self.used = name
        try:
            files.overwrite(folder, name, data, sync=durable)
        except BaseException:
            self.take_back(folder, name)
            raise
        return name

    def take_back(self, folder: int, name: str) -> bool:
        """True where this name was the reserve."""
        if name != self.used:
            return False
        self.used = ""
        files.move(folder, name, self.folder, self.name)
        return True


class Ticket(Generic[T]):
    def __init__(self, items: Sequence[T]) -> None:
        self.items = items
        self.done = False
        self.error: BaseException | None = None


class Together(Generic[T]):
    """Callers that come while a group is being worked on make up the next group: the first of them works for all."""

    def __init__(self, work: Callable[[Sequence[T]], None]) -> None:
        self.work = work
        self.waiting: list[Ticket[T]] = []
        self.entry = threading.Lock()
        self.leader = threading.Lock()

    def do(self, items: Sequence[T]) -> None:
        """Returns when the work on these items is done; raises what it raised."""
        if not self.waiting and self.leader.acquire(blocking=False):
            try:
                self.work(items)  # there is nobody to share with
            finally:
                self.leader.release()
        else:
            self.share(Ticket(items))

    def share(self, ticket: Ticket[T]) -> None:
        with self.entry:
            self.waiting.append(ticket)
        with self.leader:
            if not ticket.done:
                with self.entry:
                    group, self.waiting = self.waiting, []
                self.lead(group)
        if ticket.error is not None:
            raise ticket.error

    def lead(self, group: list[Ticket[T]]) -> None:
        try:
            self.work([item for ticket in group for item in ticket.items])
        except BaseException as error:
            for ticket in group:
                ticket.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            for ticket in group:
                ticket.done = True

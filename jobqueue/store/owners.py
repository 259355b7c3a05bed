"""Workers, as the folder knows them: their locks and claim folders, and what each says of itself in `workers/<owner>.json`."""

from __future__ import annotations

from contextlib import suppress

import msgspec
from msgspec.structs import replace

from jobqueue.store import files
from jobqueue.store.base import WorkerInfo
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.commit import Reserve, Scratch
from jobqueue.store.folder import Folder
from jobqueue.store.layout import SPARE, folders_of
from jobqueue.store.locks import Locks, new_owner

SAID = ".json"


class Owners:
    def __init__(self, folder: Folder, locks: Locks, scratch: Scratch) -> None:
        self.folder = folder
        self.locks = locks
        self.scratch = scratch
        self.workers = folder.fds["workers"]

    def join(self, info: WorkerInfo) -> str:
        owner = info.owner or new_owner("worker")
        self.locks.take(owner)
        try:
            for claim_folder in folders_of(owner):
                self.folder.make_claim_folder(claim_folder)
            self.write(owner, replace(info, owner=owner))
        except BaseException:
            self.leave(owner)
            raise
        with suppress(OSError):  # a disk that is full already: then there is none
            self.scratch.reserve = None
            self.scratch.reserve = Reserve(self.workers, *(owner + ending for ending in SPARE))
        return owner

    def hand_back(self, owner: str) -> None:
        info = self.info(owner)
        if info is not None:
            self.write(owner, replace(info, handed_back=True))

    def leave(self, owner: str) -> None:
        dissolved = False
        try:
            dissolved = self.dissolve(owner)
        finally:  # what the disk refuses now, the next rescue does
            (self.locks.drop if dissolved else self.locks.release)(owner)

    def dissolve(self, owner: str) -> bool:
        """Removes what an owner that holds nothing said of itself, its reserve, and last its claim folders: by those it is
        found again where this is broken off. False where it still holds something."""
        if not all(map(self.folder.holds_nothing, folders_of(owner))):
            return False
        for ending in (SAID, *SPARE):
            files.remove(self.workers, owner + ending)
        dropped = [self.folder.drop_claim_folder(name) for name in folders_of(owner)]
        return all(dropped)

    def alive(self) -> list[WorkerInfo]:
        found = []
        for name in sorted(files.names(self.folder.fds["workers"])):
            owner = name.removesuffix(SAID)
            if owner != name and self.locks.alive(owner) and (info := self.seen(owner)) is not None:
                found.append(info)
        return found

    def write(self, owner: str, info: WorkerInfo) -> None:
        self.scratch.replace(self.workers, owner + SAID, msgspec.json.encode(info))

    def info(self, owner: str) -> WorkerInfo | None:
        """What a worker has said of itself. Raises where that cannot be read now: a job's fate may hang on it."""
        try:
            info = msgspec.json.decode(files.read_small(self.workers, owner + SAID), type=WorkerInfo)
        except (FileNotFoundError, *UNREADABLE):
            return None
        return replace(info, owner=owner)  # whose it is, its name says: from an owner paths are made

    def seen(self, owner: str) -> WorkerInfo | None:
        """The same for whoever only looks."""
        with suppress(OSError):
            return self.info(owner)
        return None

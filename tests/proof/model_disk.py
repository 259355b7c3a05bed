"""An abstract disk: a few files, of which each name and each content is either durable or may be lost by a power cut.

A path is `folder/name`. Every change of names is one step that a power cut keeps whole or drops whole. Of the steps that
were not synced yet, a cut keeps any selection in which each step is kept together with the earlier ones that touched
the same paths. That is weaker than ext4 and xfs, whose journals keep a beginning of the whole sequence: what holds here
holds there. The content of a file that was not synced is what was written, torn, or what was durable before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

TMP = "tmp"
TORN = "torn"
PENDING, DONE, FAILED, TRASH, MARKS = "pending", "done", "failed", "trash", "cancel"
CLAIMED = "claimed/"


class Body(NamedTuple):
    """What stands in a job's file.

    `request` counts how often somebody asked for it to run (enqueue, retry), `version` how often it was written anew.
    `by` is the claim folder in which it was written.
    """

    job: str
    request: int = 0
    attempts: int = 0
    version: int = 0
    end: str = ""
    by: str = ""

    def __str__(self) -> str:
        return f"{self.job} v{self.version} attempts={self.attempts}{' ' + self.end if self.end else ''}"


Content = Body | str
Change = tuple[str, str, str]
"""A step that changes names: put (path, inode), move (from, to), swap (one, other) or cut (path, nothing)."""


class Disk(NamedTuple):
    """All four are sorted, so that equal disks are equal tuples. Without `tracked` no power cut will come any more."""

    names: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    log: tuple[Change, ...] = ()
    data: tuple[tuple[str, Content, Content], ...] = ()
    tracked: bool = True


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def in_queue(path: str) -> bool:
    """Whether a path lies in one of the four folders whose names are statuses."""
    return path.startswith((PENDING + "/", CLAIMED, DONE + "/", FAILED + "/"))


def new_disk(files: Sequence[tuple[str, Content]], tracked: bool) -> Disk:
    """A disk on which these files are durable."""
    work = Work(Disk((), (), (), (), tracked))
    for number, (path, content) in enumerate(files):
        inode = f"f{number}"
        work.names[path] = inode
        work.data[inode] = (content, content)
        if tracked:
            work.kept[path] = inode
    return work.frozen()


class Work:
    """A disk that can be changed."""

    def __init__(self, disk: Disk) -> None:
        self.names = dict(disk.names)
        self.kept = dict(disk.kept)
        self.log = list(disk.log)
        self.data = {inode: (now, kept) for inode, now, kept in disk.data}
        self.tracked = disk.tracked

    def frozen(self) -> Disk:
        used = set(self.names.values()) | set(self.kept.values()) | {b for kind, _, b in self.log if kind == "put"}
        data = tuple(sorted(((i, now, kept) for i, (now, kept) in self.data.items() if i in used), key=lambda row: row[0]))
        return Disk(tuple(sorted(self.names.items())), tuple(sorted(self.kept.items())), tuple(self.log), data, self.tracked)

    # -- one system call each

    def create(self, path: str, inode: str) -> str:
        if path in self.names and folder_of(path) != TMP:  # temporary names are random: they never meet
            return ""
        self.data[inode] = (TORN, TORN)
        self.change(("put", path, inode))
        return inode

    def write(self, inode: str, content: Content) -> str:
        if inode in self.data:  # else its name is gone, and with it whoever could read it
            kept = self.data[inode][1] if self.tracked else content
            self.data[inode] = (content, kept)
        return "ok"

    def sync(self, inode: str) -> str:
        if inode in self.data:
            now = self.data[inode][0]
            self.data[inode] = (now, now)
        return "ok"

    def move(self, source: str, target: str) -> str:
        if source not in self.names:
            return "gone"
        if target in self.names:
            return "taken"
        self.change(("move", source, target))
        return "ok"

    def move_over(self, source: str, target: str) -> str:
        """The plain rename, which overwrites."""
        if source not in self.names:
            return "gone"
        self.change(("move", source, target))
        return "ok"

    def swap(self, one: str, other: str) -> str:
        if one not in self.names or other not in self.names:
            return "gone"
        self.change(("swap", one, other))
        return "ok"

    def unlink(self, path: str) -> str:
        if path not in self.names:
            return "gone"
        if folder_of(path) == TMP:  # nobody ever looks there again: whether it comes back makes no difference
            del self.names[path]
            self.forget_temporary()
        else:
            self.change(("cut", path, ""))
        return "ok"

    def sync_folder(self, folder: str) -> str:
        """The steps that touched this folder become durable, and with each the earlier ones on the same paths."""
        keep = closure(self.log, [any(folder_of(path) == folder for path in paths(change)) for change in self.log])
        self.settle(keep)
        return "ok"

    def sync_all(self) -> str:
        self.settle([True] * len(self.log))
        self.data = {inode: (now, now) for inode, (now, _) in self.data.items()}
        return "ok"

    # -- what is durable

    def change(self, change: Change) -> None:
        perform(self.names, change)
        if self.tracked:
            position = len(self.log)
            # Steps that do not touch each other may stand in any order: one order for all makes equal disks equal.
            while position and not related(self.log[position - 1], change) and self.log[position - 1] > change:
                position -= 1
            self.log.insert(position, change)

    def settle(self, keep: Sequence[bool]) -> None:
        for change, wanted in zip(self.log, keep, strict=True):
            if wanted:
                perform(self.kept, change)
        self.log = [change for change, wanted in zip(self.log, keep, strict=True) if not wanted]
        self.forget_temporary()

    def forget_temporary(self) -> None:
        mentioned = {path for change in self.log for path in paths(change)} | self.names.keys()
        for path in [path for path in self.kept if folder_of(path) == TMP and path not in mentioned]:
            del self.kept[path]


def paths(change: Change) -> tuple[str, ...]:
    kind, one, other = change
    return (one, other) if kind in ("move", "swap") else (one,)


def related(one: Change, other: Change) -> bool:
    return not set(paths(one)).isdisjoint(paths(other))


def perform(names: dict[str, str], change: Change) -> None:
    kind, one, other = change
    if kind == "put":
        names[one] = other
    elif kind == "move":
        names[other] = names.pop(one)
    elif kind == "swap":
        names[one], names[other] = names[other], names[one]
    else:
        del names[one]


def closure(log: Sequence[Change], wanted: Sequence[bool]) -> list[bool]:
    """These steps and all earlier ones that they build on."""
    keep = list(wanted)
    for late in reversed(range(len(log))):
        if keep[late]:
            for early in range(late):
                keep[early] = keep[early] or related(log[early], log[late])
    return keep


def cuts(disk: Disk, tracked: bool) -> Iterator[Disk]:
    """What a power cut may leave. Temporary files are not looked at again, so they are left out."""
    seen: set[Disk] = set()
    for wanted in product((True, False), repeat=len(disk.log)):
        if closure(disk.log, wanted) != list(wanted):
            continue
        names = dict(disk.kept)
        for change, kept in zip(disk.log, wanted, strict=True):
            if kept:
                perform(names, change)
        for after in contents(disk, {path: inode for path, inode in names.items() if folder_of(path) != TMP}, tracked):
            if after not in seen:
                seen.add(after)
                yield after


def contents(disk: Disk, names: dict[str, str], tracked: bool) -> Iterator[Disk]:
    choices = []
    for inode, now, kept in disk.data:
        if inode in names.values():
            choices.append([(inode, content) for content in sorted({now, kept, TORN} if now != kept else {now}, key=str)])
    for chosen in product(*choices):
        work = Work(Disk((), (), (), (), tracked))
        work.names = dict(names)
        work.kept = dict(names) if tracked else {}
        work.data = {inode: (content, content) for inode, content in chosen}
        yield work.frozen()

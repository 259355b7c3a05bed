"""The states in which a power cut may leave a folder, from the calls that were made before it.

A rename is atomic, and a name is never kept without the folder it stands in: every journaling file system gives that.
Beyond that, what was not synced may be there or not, in two ways. `ordered`: changes of names reach the disk in the order
of the calls, and a sync of anything takes all before it along (ext4 and xfs). `by folder`: each folder keeps its own
order, and only a sync of the folder itself is worth anything. In both, data that was not synced may be missing, cut in
half, zeros, or there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .power_record import Event, Tree

NAMES = ("make", "move", "swap", "gone")
SYNCS = ("sync", "sync all")
DATA = ("whole", "missing", "half", "zeros")


def touched(event: Event) -> set[int]:
    folders = {folder for folder, _ in event.entries}
    return folders | ({event.node} if event.is_folder else set())


def ordered(events: Sequence[Event]) -> Iterator[frozenset[int]]:
    last_sync = max((n for n, event in enumerate(events) if event.kind in SYNCS), default=-1)
    kept = frozenset(n for n, event in enumerate(events) if event.kind in NAMES and n < last_sync)
    yield kept
    for n in range(last_sync + 1, len(events)):
        if events[n].kind in NAMES:
            kept |= {n}
            yield kept


def by_folder(events: Sequence[Event]) -> Iterator[frozenset[int]]:
    """All sets of changes in which each folder has a beginning of its own changes."""
    before, needed = predecessors(events), set()
    for n, event in enumerate(events):
        if event.kind in SYNCS:
            needed |= {m for m in before if m < n and (event.kind == "sync all" or event.node in touched(events[m]))}
    start = closure(needed, before)
    waiting, seen = [start], {start}
    while waiting:
        kept = waiting.pop()
        yield kept
        for n in before:
            if n not in kept and before[n] <= kept and (more := kept | {n}) not in seen:
                seen.add(more)
                waiting.append(more)


def predecessors(events: Sequence[Event]) -> dict[int, set[int]]:
    last: dict[int, int] = {}
    before: dict[int, set[int]] = {}
    for n, event in enumerate(events):
        if event.kind in NAMES:
            before[n] = {last[folder] for folder in touched(event) if folder in last}
            last |= dict.fromkeys(touched(event), n)
    return before


def closure(needed: set[int], before: dict[int, set[int]]) -> frozenset[int]:
    kept, waiting = set(), list(needed)
    while waiting:
        n = waiting.pop()
        if n not in kept:
            kept.add(n)
            waiting += before[n]
    return frozenset(kept)


ORDERS = {"ordered": ordered, "by folder": by_folder}


def state(base: Tree, top: int, events: Sequence[Event], kept: frozenset[int], data: str) -> dict[str, bytes | None]:
    """Paths to contents, and to None for a folder."""
    names = dict(base.names)
    folders = set(base.folders)
    for n, event in enumerate(events):
        if event.kind == "make" and event.is_folder:
            folders.add(event.node)
        if n in kept:
            change(names, event)
    bytes_of = contents(base, events, data)
    found: dict[str, bytes | None] = {}
    collect(top, "", names, folders, bytes_of, found)
    return found


def change(names: dict[tuple[int, str], int], event: Event) -> None:
    first = event.entries[0]
    if event.kind == "make":
        names[first] = event.node
    elif event.kind == "gone":
        names.pop(first, None)
    elif event.kind == "move":
        names[event.entries[1]] = names.pop(first)
    else:
        second = event.entries[1]
        names[first], names[second] = names[second], names[first]


def contents(base: Tree, events: Sequence[Event], data: str) -> dict[int, bytes]:
    synced: dict[int, int] = {}
    for n, event in enumerate(events):
        if event.kind == "sync":
            synced[event.node] = n
        elif event.kind == "sync all":
            synced |= {other.node: n for other in events[:n] if other.kind in ("data", "cut", "make")}
    found = dict(base.contents)
    for n, event in enumerate(events):
        if event.kind in ("data", "cut"):
            lost = data != "whole" and n > synced.get(event.node, -1)
            found[event.node] = written(found.get(event.node, b""), event, data if lost else "whole")
    return found


def written(old: bytes, event: Event, data: str) -> bytes:
    if event.kind == "cut":
        return old if data == "missing" else old[: event.at].ljust(event.at, b"\0")
    if data == "missing":
        return old
    new = event.data if data == "whole" else bytes(len(event.data)) if data == "zeros" else event.data[: len(event.data) // 2]
    return old.ljust(event.at, b"\0")[: event.at] + new + old[event.at + len(new) :]


def collect(
    folder: int,
    path: str,
    names: dict[tuple[int, str], int],
    folders: set[int],
    bytes_of: dict[int, bytes],
    found: dict[str, bytes | None],
) -> None:
    for (parent, name), node in names.items():
        if parent == folder:
            found[f"{path}{name}"] = None if node in folders else bytes_of.get(node, b"")
            if node in folders:
                collect(node, f"{path}{name}/", names, folders, bytes_of, found)


def build(root: Path, found: dict[str, bytes | None]) -> None:
    root.mkdir(mode=0o700)
    for path in sorted(found):
        data = found[path]
        if data is None:
            (root / path).mkdir(mode=0o700)
        else:
            file = os.open(root / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(file, data)
            os.close(file)

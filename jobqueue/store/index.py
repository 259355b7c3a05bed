"""The order of the waiting jobs in memory: a heap of names, so that a claim never lists the folder.

The names say the order (priority, then time), so most jobs are never opened before they are claimed. A name that was
looked at and cannot run yet waits in one of three places: for a time, for something to change, or to settle.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from jobqueue.store.layout import default_key, is_delayed_name, is_ours, name_time

LEAVING = "leaving"
"""Held for this are the names that are about to be moved away: a listing in between must not bring them up again."""


class Index:
    """Not thread-safe: its store guards it. `stamp` is the present as the names write it (`20261122T061500123456`)."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        """Every name that is known to be in pending/, with its place in the order."""
        self.ready: list[tuple[str, str]] = []
        self.timed: list[tuple[str, str, str]] = []
        self.strange: dict[str, None] = {}
        """Names that do not say their place: they are opened once to learn it."""
        self.unread: list[str] = []
        """Names that say that they are delayed, and are believed until somebody has time to open them: a job that was
        cancelled and retried, or edited by hand, may run earlier than its name says."""
        self.held: dict[str, dict[str, str]] = {}
        self.lines: dict[str, list[tuple[str, str]]] = {}
        """Names that wait for a limit, each line a heap."""

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, name: str) -> None:
        """A name that was seen in pending/; known ones stay where they are."""
        if name in self.keys:
            return
        if not is_ours(name):
            self.keys[name] = ""
            self.strange[name] = None
        elif is_delayed_name(name):
            self.keys[name] = name
            heapq.heappush(self.timed, (name_time(name), name, name))
            self.unread.append(name)
        else:
            self.keys[name] = name
            heapq.heappush(self.ready, (name, name))

    def replace_all(self, names: Iterable[str]) -> None:
        """What a listing of the whole folder found: new names are added, vanished ones forgotten."""
        listed = set(names)
        for gone in [name for name in self.keys if name not in listed]:
            del self.keys[gone]
            self.strange.pop(gone, None)
        new = [name for name in listed if name not in self.keys]
        plain = [name for name in new if is_ours(name) and not is_delayed_name(name)]
        if len(plain) > len(self.ready) // 8:  # many at once: one heapify instead of a push each
            self.keys.update(zip(plain, plain, strict=True))
            self.ready.extend(zip(plain, plain, strict=True))
            heapq.heapify(self.ready)
        for name in new:
            self.add(name)

    def take_strange(self, most: int) -> list[str]:
        """Some of the names that must be opened to learn their place."""
        return [self.strange.popitem()[0] for _ in range(min(most, len(self.strange)))]

    def doubt(self, most: int) -> None:
        """Makes some of the delayed names ready, so that they are opened: their files may say another time."""
        while self.unread and most:
            name = self.unread.pop()
            if self.keys.get(name) == name:
                heapq.heappush(self.ready, (name, name))
                most -= 1

    def place(self, name: str, key: str) -> None:
        """The place of a name, now that its file was read."""
        if name in self.keys:
            self.keys[name] = key
            heapq.heappush(self.ready, (key, name))

    def pop(self) -> str | None:
        """The first of the ready names, or None. It stays known until `forget`."""
        while self.ready:
            key, name = heapq.heappop(self.ready)
            if self.keys.get(name) == key:
                return name
        return None

    def wake(self, stamp: str) -> None:
        """Moves the names whose time has come to the ready ones."""
        while self.timed and self.timed[0][0] <= stamp:
            _, key, name = heapq.heappop(self.timed)
            if self.keys.get(name) == key:
                heapq.heappush(self.ready, (key, name))

    def next_time(self) -> str | None:
        """The stamp of the earliest name that waits for its time."""
        while self.timed and self.keys.get(self.timed[0][2]) != self.timed[0][1]:
            heapq.heappop(self.timed)
        return self.timed[0][0] if self.timed else None

    def delay(self, name: str, until: str) -> None:
        """Not before this stamp."""
        key = self.keys.get(name)
        if key is not None:
            heapq.heappush(self.timed, (until, key, name))

    def hold(self, name: str, reason: str) -> None:
        """Not before `release(reason)`."""
        key = self.keys.get(name)
        if key is not None:
            self.held.setdefault(reason, {})[name] = key

    def keep(self, name: str, reason: str) -> None:
        """A name that was forgotten too early: known again, but not before `release(reason)`."""
        self.keys.setdefault(name, "")
        self.hold(name, reason)

    def release(self, reason: str) -> None:
        for name, key in self.held.pop(reason, {}).items():
            if self.keys.get(name) == key:
                heapq.heappush(self.ready, (key, name))

    def line_up(self, name: str, limit: str) -> None:
        """Not before `release_first(limit)` comes to it."""
        key = self.keys.get(name)
        if key is not None:
            heapq.heappush(self.lines.setdefault(limit, []), (key, name))

    def release_first(self, limit: str) -> str | None:
        """Makes the first of a line ready, and says which that is."""
        line = self.lines.get(limit, [])
        while line:
            key, name = heapq.heappop(line)
            if self.keys.get(name) == key:
                heapq.heappush(self.ready, (key, name))
                return name
        self.lines.pop(limit, None)
        return None

    def forget(self, name: str) -> None:
        """It is not in pending/ any more, or we will not look at it again."""
        self.keys.pop(name, None)
        self.strange.pop(name, None)

    def look_again(self, name: str) -> None:
        """A known name whose file was changed: whatever it waited for, it is read anew."""
        known = name in self.keys
        self.forget(name)
        self.add(name)
        if known and is_ours(name) and is_delayed_name(name):
            heapq.heappush(self.ready, (name, name))

    def order(self) -> list[str]:
        """All known names in their true order."""
        return sorted(self.keys, key=lambda name: (self.keys[name] or default_key(name, "9"), name))

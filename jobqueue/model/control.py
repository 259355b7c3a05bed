"""What people have told a whole queue: paused or not, by whom, since when, and why; its limits and budgets.

It outlasts restarts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from jobqueue.model.limit import Budget, Limit
from jobqueue.model.request import parse_type


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`until` is when it ends by itself; None where only `resume` ends it."""

    by: str
    at: datetime
    reason: str = ""
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def sentence(self, what: str) -> str:
        because = f": {self.reason}" if self.reason else ""
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until is not None else ""
        return f"{what} is paused by {self.by} since {self.at:%Y-%m-%d %H:%M} UTC{until}{because}"


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`limits` are by name (`queue`, `type:<type>`), `budgets` by type."""

    paused: Pause | None = None
    paused_types: dict[str, Pause] = {}
    limits: dict[str, Limit] = {}
    budgets: dict[str, tuple[Budget, ...]] = {}

    def with_pause(self, type: str | None, pause: Pause | None) -> Control:
        """With a pause of the queue or of one type, or (None) without it."""
        if type is None:
            return msgspec.structs.replace(self, paused=pause)
        others = {name: known for name, known in self.paused_types.items() if name != type}
        return msgspec.structs.replace(self, paused_types=others if pause is None else others | {parse_type(type): pause})

    def at(self, now: datetime) -> Control:
        """Without the pauses that have ended by themselves."""
        if all(pause.holds(now) for pause in self.pauses()):
            return self
        paused = self.paused if self.paused is not None and self.paused.holds(now) else None
        types = {type: pause for type, pause in self.paused_types.items() if pause.holds(now)}
        return msgspec.structs.replace(self, paused=paused, paused_types=types)

    def pauses(self) -> Iterator[Pause]:
        if self.paused is not None:
            yield self.paused
        yield from self.paused_types.values()

    def next_end(self, now: datetime) -> datetime | None:
        """When the first of the pauses that hold now ends by itself."""
        ends = [pause.until for pause in self.pauses() if pause.until is not None and pause.holds(now)]
        return min(ends, default=None)

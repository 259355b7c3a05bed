"""What people have told a whole queue: paused or not, by whom, since when, and why. It outlasts restarts."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    by: str
    at: datetime
    reason: str = ""

    def sentence(self, what: str) -> str:
        because = f": {self.reason}" if self.reason else ""
        return f"{what} is paused by {self.by} since {self.at:%Y-%m-%d %H:%M} UTC{because}"


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    paused: Pause | None = None
    paused_types: dict[str, Pause] = {}

"""What a look at a queue found: one line for each thing, what it means and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from jobqueue.inert import inert

Level = Literal["ok", "warn", "fail"]
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Finding(msgspec.Struct, frozen=True):
    """`what` was looked at, what was `found`, and the `fix` (empty where nothing is to do).

    `fail` is something without which jobs are lost, doubled or stuck; `warn` something to know or to mend.
    """

    level: Level
    what: str
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        """One printable line, whatever the names of files are made of."""
        for field in ("what", "found", "fix"):
            force_setattr(self, field, inert(getattr(self, field)))

    def __str__(self) -> str:
        return f"{self.level:4} {self.what}: {self.found}" + (f"; {self.fix}" if self.fix else "")


def problems(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are not ok, failures first."""
    return [finding for level in ("fail", "warn") for finding in findings if finding.level == level]


def size(count: float) -> str:
    """Bytes for people: `640 B`, `78 GB`."""
    unit = 0
    while count >= 999.5 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if count >= 10 or unit == 0 else f"{count:.1f} {UNITS[unit]}"


def some(items: Sequence[str], most: int = 3) -> str:
    """The first few of a list, and how many more there are."""
    more = len(items) - most
    return "; ".join(items[:most]) + (f"; and {more} more" if more > 0 else "")

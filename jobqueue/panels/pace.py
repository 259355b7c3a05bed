"""How often something costly is made anew: the more it costs, the less often."""

from __future__ import annotations

import time
from types import TracebackType

FRESH_FOR, LONGEST = 2.0, 60.0
"""Seconds for which what was made holds however much happens, and however little: time goes on in it."""
SHARE = 50
"""To make it may take this part of the time at most."""


class Pace:
    """`with pace:` stands around the making."""

    def __init__(self) -> None:
        self.ended = self.looked = 0.0
        self.took = 0.0
        """Seconds that the last making, or the last look, took."""

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.made(time.monotonic() - self.began)

    def made(self, took: float) -> None:
        """It was made just now, and that took so many seconds."""
        self.held(took)
        self.ended = self.looked

    def held(self, took: float) -> None:
        """Nothing has changed of what it was made of; to find that out took so many seconds."""
        self.looked, self.took = time.monotonic(), took

    @property
    def age(self) -> float:
        return time.monotonic() - self.ended

    def is_time(self) -> bool:
        """Whether it may be made anew, if something has changed."""
        return time.monotonic() - self.looked > max(FRESH_FOR, SHARE * self.took)

    def is_old(self) -> bool:
        return self.age > LONGEST

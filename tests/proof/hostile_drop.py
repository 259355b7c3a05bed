"""One file that somebody drops, and what must become of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .hostile_bytes import dumped

Fate = Literal["runs", "aside", "left", "ignored", "job", "any"]
"""runs: done, by the handler. aside: in failed/, the very same file, with a reason. left: stays and is reported once.
ignored: stays and is never looked at. job: read as a job, whatever comes of it. any: aside, or a job."""


@dataclass
class Drop:
    """One hostile (or odd, or good) file: `make` makes it at a path, `fix` makes it untouchable there, `undo` undoes that."""

    row: str
    name: str
    fate: Fate
    make: Callable[[Path], None]
    payload: dict[str, Any] | None = None
    """What its handler must be given; None where that is not told apart."""
    closed: bool = False
    """Whether it must never be opened."""
    fix: Callable[[Path], object] | None = None
    undo: Callable[[Path], object] | None = None

    def place(self, queue_dir: Path, look: Callable[[Path], object] = lambda path: None) -> Any:
        """Makes it out of sight and moves it into pending/ in one step; the answer is what `look` saw just before."""
        hidden = queue_dir / ".made"
        hidden.mkdir(exist_ok=True)
        path, target = hidden / self.name, queue_dir / "pending" / self.name
        self.make(path)
        seen = look(path)
        if self.fix is None or path.is_dir():
            path.rename(target)
            return seen
        with path.open("ab"):  # nobody takes it as long as somebody has it open, and an immutable file cannot be moved there
            path.rename(target)
            self.fix(target)
        return seen


def write(data: bytes) -> Callable[[Path], None]:
    """In one step, as `mv` brings it."""

    def make(path: Path) -> None:
        beside = path.parent.parent / "beside"
        beside.write_bytes(data)
        beside.rename(path)

    return make


def sane(rng: random.Random, n: int, **more: Any) -> tuple[bytes, dict[str, Any]]:
    payload = {"n": n, "text": "".join(rng.choice('abcé漢 \n"\\') for _ in range(rng.randint(0, 30)))}
    return dumped(rng, {"type": "scan", "payload": payload} | more), payload


def bad(row: str, name: str, data: bytes) -> Drop:
    return Drop(row, name, "aside", write(data))

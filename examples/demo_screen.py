"""What the demo shows while jobs run: a live picture on a terminal, plain lines into a file or a pipe."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

COLORS = {"pending": "yellow", "claimed": "blue", "done": "green", "failed": "red"}
LINE_EVERY = 1.0


@dataclass(frozen=True)
class Look:
    """One look at the queue: jobs of this run that have not ended, files in the four folders, and what runs now."""

    left: int
    counts: dict[str, int]
    running: list[str]


def make_console() -> Console:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character must not end the demo
    watched = sys.stdout.isatty()
    return Console(force_terminal=watched, width=None if watched else 110, highlight=False, markup=False, emoji=False)


def printable(text: str) -> str:
    """Strangers' text in one line, without any character that could steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


@contextmanager
def watching(console: Console, total: int) -> Iterator[Callable[[Look], None]]:
    """Gives a function that shows a look at the queue."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield plain_lines(console, total)
        return
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    task = bar.add_task("jobs", total=total)
    with Live(bar, console=console, refresh_per_second=10) as live:

        def show(look: Look) -> None:
            bar.update(task, completed=total - look.left)
            live.update(Group(bar, folders(look), *current(look, console)))

        yield show


def folders(look: Look) -> Text:
    """The four folders, with the number of files in each."""
    return Text("   ").join(Text(f"{name}/ {count}", COLORS[name]) for name, count in look.counts.items())


def current(look: Look, console: Console) -> list[Text]:
    return [
        Text(f"  > {printable(title)}", "dim", no_wrap=True, overflow="ellipsis")
        for title in look.running[: console.height - 6]
    ]


def plain_lines(console: Console, total: int) -> Callable[[Look], None]:
    said_at, said = -LINE_EVERY, -1

    def show(look: Look) -> None:
        nonlocal said_at, said
        if look.left != said and (time.monotonic() - said_at >= LINE_EVERY or look.left == 0):
            said_at, said = time.monotonic(), look.left
            counts = ", ".join(f"{count} {name}" for name, count in look.counts.items())
            console.print(f"{total - look.left:4} of {total} jobs have ended; folders: {counts}")

    return show

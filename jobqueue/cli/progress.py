"""Bars for what may last: on stderr, only on a terminal, gone when it is over."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

T = TypeVar("T")
GROUP = 1000
PATIENCE = 0.7
"""Seconds after which something shall move; what is over sooner needs no sign."""


def in_groups(items: Sequence[T], label: str, size: int = GROUP) -> Iterator[Sequence[T]]:
    """The items, so many at a time, with a bar where there is more than one group and somebody watches."""
    groups = (items[start : start + size] for start in range(0, len(items), size))
    if len(items) <= size or not sys.stderr.isatty():
        yield from groups
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=len(items))
        for group in groups:
            yield group
            progress.advance(task, len(group))


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """Something moves while a step of unknown length lasts."""
    if not sys.stderr.isatty():
        yield
        return
    with ExitStack() as stack:
        timer = threading.Timer(PATIENCE, spin, (stack, label))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def spin(stack: ExitStack, label: str) -> None:
    from rich.console import Console

    stack.enter_context(Console(stderr=True).status(label))

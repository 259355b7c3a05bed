"""What was measured, as rows: ours beside the limit, and whether the target holds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from limits import Cost
from rich.console import Console
from rich.table import Table

Key = tuple[str, int, str]
"""Step, number of jobs, durability."""


@dataclass(frozen=True)
class Target:
    """At most so much: times the limit (`ratio`), or microseconds (`us`). `text` is what the table says."""

    text: str
    ratio: float = math.inf
    us: float = math.inf

    def holds(self, us: float, ratio: float) -> bool:
        return us <= self.us and ratio <= self.ratio


RATIO_TARGETS = {
    ("enqueue", "relaxed"): 2.0,
    ("enqueue_many", "strict"): 2.0,
    ("drain, inline", "relaxed"): 3.0,
}


@dataclass(frozen=True)
class Row:
    """One line of the table. `cpu_us` is None where it was not taken, `target` where none is set."""

    step: str
    size: int
    durability: str
    us: float
    limit_us: float
    cpu_us: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.us / self.limit_us

    @property
    def holds(self) -> bool | None:
        return None if self.target is None else self.target.holds(self.us, self.ratio)

    def document(self) -> dict[str, Any]:
        target = None if self.target is None else self.target.text
        return asdict(self) | {"ratio": self.ratio, "target": target, "holds": self.holds}


@dataclass
class Sheet:
    """All samples of a run, ours and those of the limit, and the rows that came ready."""

    ours: dict[Key, list[Cost]] = field(default_factory=dict)
    limits: dict[Key, list[Cost]] = field(default_factory=dict)
    ready: list[Row] = field(default_factory=list)

    def add(self, key: Key, cost: Cost) -> None:
        self.ours.setdefault(key, []).append(cost)

    def add_limit(self, key: Key, cost: Cost) -> None:
        self.limits.setdefault(key, []).append(cost)

    def rows(self) -> list[Row]:
        """Medians, in the order of the steps, then of size."""
        return [self.row(key) for key in self.ours] + self.ready

    def row(self, key: Key) -> Row:
        step, size, durability = key
        ours, limits = self.ours[key], self.limits[key]
        ratio = RATIO_TARGETS.get((step, durability))
        target = None if ratio is None else Target(f"{ratio:g} x limit", ratio=ratio)
        cpu = median(cost.cpu for cost in ours)
        return Row(step, size, durability, median(cost.us for cost in ours), median(cost.us for cost in limits), cpu, target)


NOTES = """\
us = microseconds, the median of the repeats; the limit is taken before and after each, in the same run.
CPU us: of this process; what the child of a process executor takes comes on top.
enqueue, finish, strict: one fsync of the file and one of the folder each; groups: one syncfs and one fsync of the folder.
drain: a whole Worker with a handler that does nothing; its limit is claim and finish (and a round trip through a bare
  ProcessPoolExecutor(1) for the one with a process). first claim: for each waiting job; its limit is os.listdir.
drain, 2 processes: with --concurrency 2; its limit is the map of a bare ProcessPoolExecutor(2), which stores nothing.
CPU of a worker: user and system time of python -m jobqueue.worker --drain, less the same on an empty queue.
pickup: from the start of enqueue() (or of the rename) to the handler's first line in a worker process, jobs 30 to 60 ms
  apart; its limit is write and rename here, bare inotify, rename, open and read in the other process.
hostile: as many files that are no jobs beside the jobs; idle CPU: of a worker process in a second, among files at rest.
import: in a fresh process; its limit are the modules of the standard library that it loads, `jobs` is all it loads."""


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table_of(rows: list[Row]) -> Table:
    table = Table(title_justify="left", header_style="bold")
    table.add_column("step", no_wrap=True)
    table.add_column("jobs", justify="right", no_wrap=True)
    table.add_column("durability", no_wrap=True)
    for name in ("us per job", "limit us", "ratio", "CPU us"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("note")
    for row in sorted(rows, key=lambda row: order(row, rows)):
        cpu = "" if row.cpu_us is None else number(row.cpu_us)
        mark = {None: "", True: "[green]✓[/]", False: "[red]✗[/]"}[row.holds]
        target = row.target.text if row.target else ""
        us, limit = number(row.us), number(row.limit_us)
        table.add_row(row.step, f"{row.size:,}", row.durability, us, limit, f"{row.ratio:.2f}", cpu, target, mark, row.note)
    return table


def order(row: Row, rows: list[Row]) -> tuple[int, str, int]:
    """Steps stay in the order in which they came; within one, by durability and size."""
    return next(place for place, other in enumerate(rows) if other.step == row.step), row.durability, row.size


def show(rows: list[Row], title: list[str]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    for line in title:
        console.print(line, highlight=False)
    console.print(table_of(rows))
    missed = sum(row.holds is False for row in rows)
    held = sum(row.holds is True for row in rows)
    console.print(f"{held} of {held + missed} targets hold.\n{NOTES}", highlight=False)

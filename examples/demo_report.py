"""What the demo says at the end, all of it read from the job files of this run."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from demo_screen import printable
from demo_work import Work
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobqueue import JobHandle, Queue
from jobqueue.model.job import Job

MOST_ROWS = 12


@dataclass
class Run:
    """The jobs of one run, and which of them are the special ones."""

    queue: Queue
    folder: Path
    batch: str
    work: Work
    jobs: list[JobHandle]
    broken: JobHandle
    delayed: JobHandle
    dropped: JobHandle
    urgent: JobHandle
    started: float = field(default_factory=time.time)
    ended: float = 0.0
    waiting: list[JobHandle] | None = None

    @property
    def total(self) -> int:
        return len(self.jobs)

    def unfinished(self) -> list[JobHandle]:
        """A finished job stays finished, so each look asks only for those that had not ended before."""
        self.waiting = [job for job in (self.jobs if self.waiting is None else self.waiting) if not job.finished]
        return self.waiting

    @property
    def finished(self) -> bool:
        return not self.unfinished()

    @cached_property
    def records(self) -> dict[str, Job]:
        """Every job of the run as its file holds it at the end."""
        return {job.id: job.record for job in self.jobs}

    def in_status(self, status: str) -> list[JobHandle]:
        return [job for job in self.jobs if job.status == status]

    def title(self, job: JobHandle) -> str:
        return printable(self.work.title(self.records[job.id].payload))


def surprises(run: Run) -> list[str]:
    """What the demo did not plan: sentences for the terminal."""
    found = []
    failed = [job for job in run.in_status("failed") if job != run.broken]
    if failed:
        found.append(f"{len(failed)} jobs failed that should not have; the first: {printable(failed[0].why())}")
    broken = run.records[run.broken.id]
    if run.broken.status != "failed" or broken.attempts != 3:
        found.append(f"the broken job should have failed after 3 attempts, and is {run.broken.status} after {broken.attempts}")
    late = run.records[run.delayed.id]
    if late.claimed_at and late.run_after and late.claimed_at < late.run_after:
        found.append(f"the delayed job ran at {late.claimed_at}, before it was due at {late.run_after}")
    return found


def print_report(run: Run, console: Console, log: Path) -> None:
    console.print(f"\n{run.total} jobs in {run.ended - run.started:.1f} s.\n")
    print_table(console, "Jobs by folder", ("", "this run", "whole queue"), folder_rows(run))
    print_table(console, "The slowest", ("seconds", "job", "what"), slowest_rows(run))
    print_results(run, console)
    print_table(console, "Four jobs to look at", ("", "what happened"), story_rows(run))
    print_table(console, "Failures", ("job", "attempts", "why"), failure_rows(run))
    print_next(run, console, log)


def print_table(console: Console, title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Numbers stand to the right; the last column folds in the room that is left, the others are never cut."""
    texts = [[shown(cell) for cell in row] for row in rows[:MOST_ROWS]]
    widths = [max(map(len, column)) for column in zip(heads, *texts, strict=True)]
    widths[-1] = max(10, min(widths[-1], console.width - sum(widths[:-1]) - 2 * len(widths)))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, (head, width) in enumerate(zip(heads, widths, strict=True)):
        is_number = bool(rows) and isinstance(rows[0][number], (int, float))
        table.add_column(head, justify="right" if is_number else "left", overflow="fold", width=width)
    for row in texts:
        table.add_row(*map(Text, row))
    console.print(Text(title, "bold"))
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"and {len(rows) - MOST_ROWS} more")
    console.print()


def shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else printable(cell)


# -- what the tables say


def folder_rows(run: Run) -> list[tuple[str, int, int]]:
    whole = run.queue.stats()
    mine = [str(job.status) for job in run.jobs]
    return [(f"{name}/", mine.count(name), getattr(whole, name)) for name in ("pending", "claimed", "done", "failed")]


def slowest_rows(run: Run) -> list[tuple[float, str, str]]:
    """From the claim to the recorded end of the last attempt."""
    rows = [
        ((record.finished_at - record.claimed_at).total_seconds(), job.id, run.title(job))
        for job, record in zip(run.jobs, run.records.values(), strict=True)
        if record.finished_at and record.claimed_at
    ]
    return sorted(rows, reverse=True)[:5]


def print_results(run: Run, console: Console) -> None:
    """What the analysis found; a piece of work that two jobs looked at counts once."""
    item = run.work.item
    results = {record.payload[item]: record.result for record in run.records.values() if record.result is not None}
    if item == "commit":
        heads, rows = ("language", "commits", "lines added", "lines removed"), language_rows(list(results.values()))
        about = f"{len(results):,} commits, by language"
    else:
        heads, rows = ("package", "files", "code", "comments", "blank", "functions", "classes"), package_rows(run, results)
        about = f"{len(results):,} files, by package"
    print_table(console, about, heads, rows)


def language_rows(results: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    totals: dict[str, list[int]] = {}
    for result in results:
        for language, (added, removed) in result["languages"].items():
            total = totals.setdefault(language, [0, 0, 0])
            for index, number in enumerate((1, added, removed)):
                total[index] += number
    return sorted(((language, *total) for language, total in totals.items()), key=lambda row: -row[2])


def package_rows(run: Run, results: dict[str, dict[str, Any]]) -> list[tuple[Any, ...]]:
    titles = {record.payload["path"]: record.payload["title"] for record in run.records.values()}
    totals: dict[str, list[int]] = {}
    for path, result in results.items():
        first, *rest = Path(titles[path]).parts
        total = totals.setdefault(f"{first}/" if rest else "(modules)", [0] * 6)
        counted = (1, *(result[key] for key in ("code", "comments", "blank", "functions", "classes")))
        for index, number in enumerate(counted):
            total[index] += number
    return sorted(((package, *total) for package, total in totals.items()), key=lambda row: -row[2])


def story_rows(run: Run) -> list[tuple[str, str]]:
    urgent, broken, delayed = (run.records[job.id] for job in (run.urgent, run.broken, run.delayed))
    starts = sorted(filter(None, map(first_start, run.records.values())))
    urgent_start = first_start(urgent)
    place = starts.index(urgent_start) + 1 if urgent_start else "?"
    due, late = seconds(delayed.created_at, delayed.run_after), seconds(delayed.run_after, delayed.claimed_at)
    tries = [attempt.claimed_at for attempt in (*broken.history, broken) if attempt.claimed_at]
    waits = ", ".join(f"{(after - before).total_seconds():.1f} s" for before, after in pairwise(tries))
    return [
        ("urgent", f"enqueued as number {run.total} of {run.total}, started as number {place}"),
        ("delayed", f"due {due} after it was enqueued, started {late} after that"),
        ("by hand", f"a file with type and payload, put into pending/ by cp: {run.dropped.status} as {run.dropped.id}"),
        ("broken", f"failed on purpose: {broken.attempts} attempts, the next one {waits} later; now in failed/"),
    ]


def first_start(record: Job) -> datetime | None:
    return record.history[0].claimed_at if record.history else record.claimed_at


def seconds(start: datetime | None, end: datetime | None) -> str:
    return "?" if start is None or end is None else f"{(end - start).total_seconds():.2f} s"


def failure_rows(run: Run) -> list[tuple[str, int, str]]:
    rows = []
    for job in run.in_status("failed"):
        error = run.records[job.id].error
        why = f"{error.type or error.reason}: {error.message}" if error else "rejected: see its .reason file"
        rows.append((job.id, run.records[job.id].attempts, why.strip().splitlines()[0]))
    return rows


# -- where to look next


def print_next(run: Run, console: Console, log: Path) -> None:
    folder, jobqueue = shlex.quote(near(run.folder)), command_of(run)
    steps = [
        ("the four folders", f"ls {folder}/*"),
        ("a finished job, with its result", f"cat {folder}/done/{run.urgent.id}.json"),
        ("the jobs of this run", f"{jobqueue} list --batch {run.batch}"),
        ("why one failed, in a sentence", f"{jobqueue} why {run.broken.id}"),
        ("all of it, with each attempt", f"{jobqueue} show {run.broken.id}"),
        ("what the worker said", f"less {shlex.quote(near(log))}"),
    ]
    if Path("notebooks").is_dir() and Path("Makefile").is_file():
        steps.append(("all of it live, in a notebook", "make lab"))
    console.print(Text("Where to look next", "bold"))
    for about, command in steps:
        console.print(Text.assemble((f"{about:32}", "dim"), command), soft_wrap=True)


def command_of(run: Run) -> str:
    """`jobqueue`, as it can be typed here: with its path where it is not on PATH, with --queue where that is needed."""
    beside = Path(sys.executable).with_name("jobqueue")
    command = "jobqueue" if shutil.which("jobqueue") else shlex.quote(near(beside))
    return command if near(run.folder) == "queue_dir" else f"{command} --queue {shlex.quote(near(run.folder))}"


def near(path: Path) -> str:
    """Relative to the current folder where it lies inside it, else absolute."""
    path = Path(os.path.abspath(path))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

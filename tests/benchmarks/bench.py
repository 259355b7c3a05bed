"""`make bench`: what each step costs beside the bare system calls of the same step, taken in the same run.

Only ratios within one run mean anything. On an ext4 without a journal, creates become 10 to 20 times slower for
minutes after tens of thousands of unlinks, and an fsync means something else: as root, take --journaled.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from types import FrameType

import click
from cost import IMPORTS, UNWANTED, stdlib_imports, time_import, worker_cpu
from disk import file_system, journaled, plain, why_no_mount
from hostile import row_of_idle, rows_among_bad
from journaled import rows_of_journal
from limits import Bodies, bare_life, bare_pool, bare_pool_map
from pickup import IdleWorker, Pickup, bare_pickup, percentile
from report import Row, Sheet, Target, show
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from steps import Backlog, drain_inline, drain_process, drain_two_processes, life, progress, sample_bodies

from jobqueue.errors import NoWorkerWarning

DURABILITIES = ("relaxed", "strict")
SECTIONS = (
    "enqueue",
    "claim",
    "finish",
    "drain",
    "process",
    "backlog",
    "cpu",
    "pickup",
    "progress",
    "hostile",
    "journal",
    "import",
)
Measure = tuple[str, Callable[[], None]]
"""What is being measured, in words, and the call that does it."""


@dataclass(frozen=True)
class Plan:
    """How much is measured: jobs, and repeats of each size."""

    sizes: tuple[tuple[int, int], ...] = ((1_000, 5), (10_000, 2))
    """(jobs, repeats)."""
    singles: dict[str, int] = field(default_factory=lambda: {"relaxed": 2_000, "strict": 200})
    """How often at most a step goes one by one: strict, each is two fsyncs."""
    backlogs: tuple[tuple[int, int], ...] = ((1_000, 5), (100_000, 3))
    claims: int = 250
    through_process: tuple[int, int] = (500, 3)
    two_processes: tuple[int, int] = (4_000, 3)
    cpu: tuple[int, int] = (3_000, 3)
    pickups: int = 300
    bare_pickups: int = 100
    imports: int = 9
    progress: tuple[int, int] = (3_000, 3)
    hostile: tuple[int, int] = (2_000, 3)
    idle: tuple[int, float] = (10_000, 10.0)
    """Files at rest, and seconds."""
    journal: tuple[int, int] = (1_000, 3)


DEFAULT = Plan()
FULL = replace(DEFAULT, sizes=((1_000, 5), (10_000, 3), (100_000, 1)), cpu=(20_000, 3))
TINY = Plan(
    ((20, 1),),
    {"relaxed": 5, "strict": 5},
    ((20, 1), (40, 1)),
    5,
    (5, 1),
    (20, 1),
    (20, 1),
    3,
    3,
    1,
    (20, 1),
    (20, 1),
    (20, 0.2),
    (20, 1),
)


class Run:
    """One run: fresh folders under `root`, and a sheet that fills."""

    def __init__(self, root: Path, plan: Plan, sections: tuple[str, ...]) -> None:
        self.root = root
        self.plan = plan
        self.sections = sections
        self.sheet = Sheet()
        self.numbers = count(1)
        self.bodies: Bodies = sample_bodies(self.fresh())
        self.workers: list[IdleWorker] = []

    def fresh(self) -> Path:
        """Folders are not removed before the end: an ext4 without a journal would not forget it soon."""
        return self.root / f"{next(self.numbers):03}"

    def wants(self, *sections: str) -> bool:
        return any(section in self.sections for section in sections)

    def measures(self) -> Iterator[Measure]:
        """What there is to do, in order."""
        if self.wants("enqueue", "claim", "finish", "drain"):
            yield from self.life_measures()
        if self.wants("process"):
            for _ in range(self.plan.through_process[1]):
                yield "drain through a child process", self.through_process
            yield "drain through two child processes", self.through_two
        if self.wants("backlog"):
            yield from self.backlog_measures()
        if self.wants("cpu"):
            for durability in DURABILITIES:
                yield f"CPU of a worker process, {durability}", partial(self.cpu, durability)
        if self.wants("pickup"):
            yield from self.pickup_measures()
        if self.wants("progress"):
            yield "progress, a thousand times a second", self.progress
        if self.wants("hostile"):
            yield (
                "good jobs among hostile files",
                lambda: self.sheet.ready.extend(rows_among_bad(self.fresh, self.plan.hostile)),
            )
            yield "an idle worker among them", lambda: self.sheet.ready.append(row_of_idle(self.fresh, self.plan.idle))
        if self.wants("journal"):
            yield (
                "with the journal and without",
                lambda: self.sheet.ready.extend(rows_of_journal(self.fresh, self.plan.journal)),
            )
        if self.wants("import"):
            yield from ((name, partial(self.imports, name, code)) for name, code in IMPORTS.items())

    # -- the life of a job

    def life_measures(self) -> Iterator[Measure]:
        for size, repeats in self.plan.sizes:
            yield from self.limit_measures(size)
            for number in range(repeats):
                for durability in DURABILITIES:
                    what = f"{size:,} jobs, {durability}, {number + 1} of {repeats}"
                    if self.wants("enqueue", "claim", "finish"):
                        yield f"life: {what}", partial(self.life, size, durability)
                    if self.wants("drain"):
                        yield f"drain: {what}", partial(self.drain, size, durability)
                yield from self.limit_measures(size)

    def limit_measures(self, size: int) -> Iterator[Measure]:
        for durability in DURABILITIES:
            yield f"the limit: {size:,} jobs, {durability}", partial(self.limit, size, durability)

    def singles(self, size: int, durability: str) -> int:
        return min(size, self.plan.singles[durability])

    def limit(self, size: int, durability: str) -> None:
        costs = bare_life(self.fresh(), size, durability == "strict", self.singles(size, durability), self.bodies)
        for step, cost in costs.items():
            self.sheet.add_limit((step, size, durability), cost)

    def life(self, size: int, durability: str) -> None:
        for step, cost in life(self.fresh(), size, durability, self.singles(size, durability)).items():
            if self.wants(step.split("_")[0].split(",")[0]):
                self.sheet.add((step, size, durability), cost)

    def drain(self, size: int, durability: str) -> None:
        self.sheet.add(("drain, inline", size, durability), drain_inline(self.fresh(), size, durability))

    def through_process(self) -> None:
        size = self.plan.through_process[0]
        key = ("drain, process", size, "relaxed")
        for _ in range(2):
            calls = bare_life(self.fresh(), size, False, size, self.bodies)
            self.sheet.add_limit(key, bare_pool(size) + calls["claim"] + calls["finish"])
            if len(self.sheet.limits[key]) % 2:
                self.sheet.add(key, drain_process(self.fresh(), size, "relaxed"))

    def through_two(self) -> None:
        """No-op jobs each second, beside those of a bare pool that stores nothing."""
        size, repeats = self.plan.two_processes
        costs, limits = [], []
        for _ in range(repeats):
            limits.append(bare_pool_map(size).us)
            costs.append(drain_two_processes(self.fresh(), size, "strict"))
        us, cpu = median(cost.us for cost in costs), median(cost.cpu for cost in costs)
        target, note = Target("500 us", us=500), f"{1e6 / us:,.0f} jobs/s"
        self.sheet.ready.append(Row("drain, 2 processes", size, "strict", us, median(limits), cpu, target, note))

    # -- a long queue

    def backlog_measures(self) -> Iterator[Measure]:
        for size, repeats in self.plan.backlogs:
            backlog = Backlog(self.fresh(), size)
            for number in range(repeats):
                yield f"{size:,} waiting jobs: fill", backlog.fill
                yield f"{size:,} waiting jobs: claim, {number + 1} of {repeats}", partial(self.backlog, backlog)
        yield "long against short", self.compare_backlogs

    def backlog(self, backlog: Backlog) -> None:
        count = min(self.plan.claims, backlog.size // 4)
        for step, (cost, limit) in backlog.measure(count).items():
            key = (f"{step}, backlog", backlog.size, "relaxed")
            self.sheet.add(key, cost)
            self.sheet.add_limit(key, limit)

    def compare_backlogs(self) -> None:
        (short, _), (long, _) = self.plan.backlogs
        step = "claim, backlog"
        costs = [median(cost.us for cost in self.sheet.ours[(step, size, "relaxed")]) for size in (short, long)]
        target = Target("1.5 x limit", ratio=1.5)
        note = f"limit: ours with {short:,}"
        self.sheet.ready.append(Row("claim, long / short", long, "relaxed", costs[1], costs[0], None, target, note))

    # -- whole processes

    def cpu(self, durability: str) -> None:
        size, repeats = self.plan.cpu
        few, costs, limits = min(size, 1_000), [], []
        for _ in range(repeats):
            costs.append(worker_cpu(self.fresh(), size, durability))
            calls = bare_life(self.fresh(), few, durability == "strict", self.singles(few, durability), self.bodies)
            limits.append(calls["drain, inline"].cpu)
        cost = median(costs)
        row = Row("CPU of a worker", size, durability, cost, median(limits), cost, Target("250 us", us=250))
        self.sheet.ready.append(row)

    def pickup_measures(self) -> Iterator[Measure]:
        bare: list[float] = []
        yield "pickup: bare inotify", lambda: bare.extend(self.bare_pickup())
        for what, send in (("jobs in pairs", IdleWorker.send_pair), ("dropped files", IdleWorker.drop)):
            worker = IdleWorker(self.fresh())
            self.workers.append(worker)
            yield f"pickup, {what}: start a worker", worker.start
            for number in range(self.plan.pickups):
                yield f"pickup, {what}", partial(send, worker, number)
            yield f"pickup, {what}: stop the worker", partial(self.picked_up, what, worker, bare)

    def bare_pickup(self) -> list[float]:
        return bare_pickup(self.fresh(), self.plan.bare_pickups, self.bodies.waiting)

    def picked_up(self, what: str, worker: IdleWorker, bare: list[float]) -> None:
        pickups = worker.stop()
        if what == "dropped files":
            self.add_pickup("pickup, dropped file", pickups, bare)
            return
        self.add_pickup("pickup, idle", [pickup for pickup in pickups if not pickup.second], bare)
        self.add_pickup("pickup, after a claim", [pickup for pickup in pickups if pickup.second], bare)

    def add_pickup(self, step: str, pickups: list[Pickup], bare: list[float]) -> None:
        for name, share, most in (("p50", 0.5, 2), ("p99", 0.99, 20)):
            us = percentile([pickup.from_start for pickup in pickups], share)
            later = percentile([pickup.from_return for pickup in pickups], share)
            note = "" if us == later else f"{later:,.0f} us from the return"
            target, limit = Target(f"{most} ms", us=most * 1000), percentile(bare, share)
            self.sheet.ready.append(Row(f"{step}, {name}", len(pickups), "relaxed", us, limit, None, target, note))

    def progress(self) -> None:
        calls, repeats = self.plan.progress
        costs = [progress(self.fresh(), calls) for _ in range(repeats)]
        us, cpu = median(cost.us for cost in costs), median(cost.cpu for cost in costs)
        target = Target("5 % of its time", us=50)
        self.sheet.ready.append(Row("ctx.progress", calls, "relaxed", us, 1000, cpu, target, "limit: the time between two"))

    def imports(self, name: str, code: str) -> None:
        cache = self.fresh()
        _, modules = time_import(code, cache)
        costs, limits = [], []
        for _ in range(self.plan.imports):
            limits.append(time_import(stdlib_imports(modules), cache)[0])
            costs.append(time_import(code, cache)[0])
        loaded = sorted(set(UNWANTED) & set(modules))
        target = None if "worker" in name else Target("loads nothing big", us=-1 if loaded else float("inf"))
        note = f"loads {', '.join(loaded)}" if loaded else ""
        self.sheet.ready.append(Row(name, len(modules), "modules", median(costs), median(limits), None, target, note))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()


def carry_out(run: Run) -> None:
    """All measures, with a bar on a terminal. It is drawn between two measures only: a thread that draws would be measured."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    measures = list(run.measures())
    with Progress(*columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal) as bar:
        task, drawn = bar.add_task("", total=len(measures)), 0.0
        for what, measure in measures:
            bar.update(task, description=what)
            if time.monotonic() - drawn > 0.5:
                bar.refresh()
                drawn = time.monotonic()
            measure()
            bar.advance(task)


@contextmanager
def a_place(on_loop: bool, queue_root: str | None, gib: int) -> Iterator[Path]:
    """Where to run; what was made there is removed at the end, and on some disks that takes a while."""
    status = Console(stderr=True).status("removing what was made")
    try:
        with journaled(queue_root, gib) if on_loop else plain(queue_root) as root:
            yield root
            status.start()
    finally:
        status.stop()


def exit_on(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the run as Ctrl-C does: what was mounted and started is taken down."""
    sys.exit(128 + number)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--full", is_flag=True, help="100,000 jobs as well; takes some minutes.")
@click.option("--only", multiple=True, type=click.Choice(SECTIONS), help="Only this step; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of the table.")
@click.option(
    "--queue-root", type=click.Path(exists=True, file_okay=False), help="Where the queues are made (a temporary folder)."
)
@click.option("--journaled", "on_loop", is_flag=True, help="On a fresh ext4 with a journal, on a loop device (root only).")
@click.option("--tiny", is_flag=True, hidden=True, help="A few jobs of everything: only to see that it works.")
def main(full: bool, only: tuple[str, ...], as_json: bool, queue_root: str | None, on_loop: bool, tiny: bool) -> None:
    """Times every step beside the bare system calls of the same step, in the same run."""
    warnings.simplefilter("ignore", NoWorkerWarning)
    signal.signal(signal.SIGTERM, exit_on)
    if on_loop and (problem := why_no_mount()):
        raise click.UsageError(f"--journaled: {problem}")
    plan = TINY if tiny else FULL if full else DEFAULT
    started = time.monotonic()
    with a_place(on_loop, queue_root, 10 if full else 4) as root:
        place = file_system(root)
        run = Run(root, plan, only or SECTIONS)
        try:
            carry_out(run)
        finally:
            run.close()
        took = time.monotonic() - started
        machine = f"Python {platform.python_version()}, {platform.system()} {platform.release()}, {os.cpu_count()} cores"
        rows = run.sheet.rows()
        if as_json:
            document = {"machine": machine, "file_system": place, "seconds": took, "rows": [row.document() for row in rows]}
            click.echo(json.dumps(document, indent=2))
        else:
            show(rows, [f"{machine}; {place}; {took:.0f} s"])


if __name__ == "__main__":
    main()

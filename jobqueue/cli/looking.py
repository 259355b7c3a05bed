"""`list`, `stats` and `workers`: what is there right now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import filter_options, json_option, page_size, queue_option
from jobqueue.cli.printing import COLORS, age, colored, echo_json, one_line, plain, plural

if TYPE_CHECKING:
    from jobqueue.cli.tables import Row
    from jobqueue.model.control import Control
    from jobqueue.queue.handle import JobHandle
    from jobqueue.queue.seen import WorkerHandle
    from jobqueue.queue.stats import Stats
    from jobqueue.store.base import Located, Page

LIST_EPILOG = """
\b
Examples:
  jobqueue list
  jobqueue list --status failed --since 24h --order newest
  jobqueue list --type scan --type export --text octo --limit all --json

--json: {count, total, offset, jobs: [job]}, where count is the jobs on this page, total all that match, and job is as in
`show --json` without file, position and why.
"""


@click.command("list", epilog=LIST_EPILOG)
@filter_options
@click.option("--limit", "-n", type=page_size, default=50, show_default=True, metavar="N|all", help="Jobs on a page.")
@click.option("--offset", type=click.IntRange(min=0), default=0, metavar="N", help="Leave out so many at the beginning.")
@click.option("--order", type=click.Choice(["urgent", "newest", "oldest"]), default="urgent", show_default=True)
@json_option
@queue_option
def list_jobs(filters: dict[str, Any], limit: int | None, offset: int, order: str, as_json: bool) -> None:
    """List jobs (also: ls), the most urgent first and then the oldest."""
    from jobqueue.cli.progress import waiting
    from jobqueue.cli.shapes import job_shape
    from jobqueue.model.status import parse_statuses
    from jobqueue.queue.choosing import read_filter

    with open_queue() as queue, waiting("reading"):
        chosen = parse_statuses(filters.pop("status", None))
        where = read_filter(filters, queue.clock.now())
        page = queue.store.scan(statuses=chosen, where=where, order=order, limit=limit, offset=offset)
        now = queue.clock.now()
    if as_json:
        jobs = [job_shape(located) for located in page.items]
        echo_json({"count": len(jobs), "total": page.total, "offset": offset, "jobs": jobs})
    else:
        draw_jobs(page, now)


def draw_jobs(page: Page, now: datetime) -> None:
    from jobqueue.cli.tables import Column, draw

    if page.items:
        columns = (
            Column("id", 300, whole=True),
            Column("type"),
            Column("status", whole=True),
            Column("prio", right=True, whole=True),
            Column("tries", right=True, whole=True),
            Column("project", 24),
            Column("made", 20),
            Column("note", 120),
        )
        draw(columns, [job_row(located, now) for located in page.items])
    if page.total > len(page.items):
        click.echo(f"showing {len(page.items):,} of {page.total:,}")
    else:
        click.echo(plural(page.total) if page.total else "no jobs")


def job_row(located: Located, now: datetime) -> Row:
    from jobqueue.cli.tables import Cell

    job = located.job
    return (
        job.id,
        job.type,
        Cell(located.status.value, COLORS[located.status.value]),
        str(job.priority),
        f"{job.attempts}/{job.most_attempts}",
        job.project or "",
        age(job.created_at, now) if job.created_at is not None else "",
        remark(located, now),
    )


def remark(located: Located, now: datetime) -> str:
    """What the status alone does not say: when it is due, who runs it, why it failed."""
    job = located.job
    if located.reason is not None:
        return one_line(f"rejected: {located.reason}")
    if located.owner is not None:
        return f"on {located.owner}" + (", asked to stop" if located.cancelling else "")
    if job.error is not None:
        return one_line(f"{job.error.reason}: {first_line(job.error.message)}")
    if located.status.value != "pending":
        return ""
    due = f"due {age(job.run_after, now)}" if job.run_after is not None and job.run_after > now else ""
    failed = f"last try: {first_line(job.last_error.message)}" if job.attempts and job.last_error is not None else ""
    return one_line("; ".join(part for part in (due, failed) if part))


def first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


STATS_EPILOG = """
\b
Examples:
  jobqueue stats
  jobqueue stats --project p1
  jobqueue stats --by type --json

--json: {pending, claimed, done, failed, total, delayed, retrying, cancelled, rejected, oldest_age, paused, workers:
{is_running, active_jobs, requests_per_minute, max_concurrency, count}, paused_types: {type: sentence}}; oldest_age is in
seconds. With --by: {by, groups: {name: the same without paused_types}}.
"""


@click.command(epilog=STATS_EPILOG)
@click.option("--project", "-p", metavar="NAME", shell_complete=complete.projects, help="Jobs of this project.")
@click.option("--type", "-t", metavar="TYPE", shell_complete=complete.types, help="Jobs of this type.")
@click.option("--by", type=click.Choice(["type", "project"]), help="One line for each type or project.")
@json_option
@queue_option
def stats(project: str | None, type: str | None, by: str | None, as_json: bool) -> None:
    """Count the jobs of each status."""
    from jobqueue.cli.progress import waiting

    if by is not None and (project is not None or type is not None):
        raise click.UsageError("--by counts all jobs; give it without --project and --type")
    with open_queue() as queue:
        with waiting("counting"):
            groups = queue.stats_by(by) if by is not None else {}
            whole = queue.stats(project=project, type=type) if by is None else None
        control = queue.control()
    if whole is None:
        echo_json({"by": by, "groups": groups}) if as_json else draw_groups(str(by), groups)
    elif as_json:
        echo_json({**plain(whole), "paused_types": dict(zip(control.paused_types, paused_types(control), strict=True))})
    else:
        tell_stats(whole, control)


def paused_types(control: Control) -> list[str]:
    return [pause.sentence(f"the type {name!r}") for name, pause in control.paused_types.items()]


def tell_stats(stats: Stats, control: Control) -> None:
    import humanize

    parts = {"pending": ("delayed", "retrying"), "failed": ("cancelled", "rejected")}
    for status in COLORS:
        inside = [f"{getattr(stats, part):,} {part}" for part in parts.get(status, ()) if getattr(stats, part)]
        aside = f"  ({', '.join(inside)})" if inside else ""
        click.echo(f"{colored(status, 8)} {getattr(stats, status):>9,}{aside}")
    click.echo(f"{'total':8} {stats.total:>9,}")
    if stats.oldest_age is not None:
        click.echo(f"the oldest due job has waited {humanize.naturaldelta(stats.oldest_age)}")
    if stats.workers.count:
        click.echo(f"{plural(stats.workers.count, 'live worker')}, {plural(stats.workers.max_concurrency, 'slot')}")
    else:
        click.echo("no live worker")
    if stats.workers.requests_per_minute is not None:
        click.echo(f"at most {stats.workers.requests_per_minute:g} jobs start in a minute")
    for line in ([stats.paused] if stats.paused else []) + paused_types(control):
        click.echo(one_line(line))


def draw_groups(by: str, groups: dict[str, Stats]) -> None:
    from jobqueue.cli.tables import Column, draw

    if not groups:
        click.echo("no jobs")
        return
    fields = ("pending", "claimed", "done", "failed", "total", "delayed", "retrying", "cancelled", "rejected")
    columns = (Column(by, 60), *(Column(field, right=True, whole=True) for field in fields))
    draw(columns, [(name or "-", *(f"{getattr(group, field):,}" for field in fields)) for name, group in groups.items()])


WORKERS_EPILOG = """
\b
Examples:
  jobqueue workers
  jobqueue workers --json
  jobqueue stop worker-4711-1763791400123-1f2e

--json: {count, workers: [{owner, host, pid, started_at, types, serves_all, concurrency, executor, policies, limits, budgets,
versions, codes, subjects, handed_back, alive, name, slots, running}]}; types is null where a worker takes every type, and
running a list of {id, type, progress}.
"""


@click.command(epilog=WORKERS_EPILOG)
@json_option
@queue_option
def workers(as_json: bool) -> None:
    """List the live workers, and what they run."""
    with open_queue() as queue:
        live = [(worker, worker.running) for worker in queue.workers()]
        now = queue.clock.now()
        rows = [worker_row(worker, running, now) for worker, running in live]
        shapes = [worker_shape(worker, running) for worker, running in live] if as_json else []
    if as_json:
        echo_json({"count": len(live), "workers": shapes})
    elif live:
        draw_workers(rows)
    else:
        click.echo("no live worker; start one: jobqueue worker --handlers handlers.py")


def worker_shape(worker: WorkerHandle, running: Sequence[JobHandle[Any]]) -> dict[str, Any]:
    shape: dict[str, Any] = plain(worker.info) | {"name": worker.name, "slots": worker.slots}
    return shape | {"running": [{"id": job.id, "type": job.type, "progress": plain(job.progress)} for job in running]}


def draw_workers(rows: Sequence[Row]) -> None:
    from jobqueue.cli.tables import Column, draw

    columns = (
        Column("worker", whole=True),
        Column("host"),
        Column("pid", right=True, whole=True),
        Column("slots", right=True, whole=True),
        Column("executor", whole=True),
        Column("started", 20),
        Column("running", 80),
        Column("types", 80),
    )
    draw(columns, rows)


def worker_row(worker: WorkerHandle, running: Sequence[JobHandle[Any]], now: datetime) -> Row:
    types = "all" if worker.types is None else ", ".join(worker.types)
    jobs = ", ".join(job_in_words(job) for job in running) or "-"
    slots = str(worker.slots)
    return (worker.name, worker.host, str(worker.pid), slots, worker.executor, age(worker.started_at, now), jobs, types)


def job_in_words(job: JobHandle[Any]) -> str:
    progress = job.progress
    return f"{job.id} ({job.type})" if progress is None else f"{job.id} ({job.type}, {progress.percent:.0f} %)"

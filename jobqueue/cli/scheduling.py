"""`schedule` and its commands: jobs that workers add at set times."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.adding import Backoff, Number
from jobqueue.cli.opening import note, open_queue
from jobqueue.cli.options import Command, duration, json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line, plain, plural, printable
from jobqueue.cli.requests import read_payload, read_setting

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue
    from jobqueue.queue.scheduling import Schedule

SHAPE = """\
{name, type, payload, cron, every, timezone, when, missed, overlap, options, source, next_run, last_run, last_job, note, paused:
{by, at, reason, until} or null}; every is in seconds, when is for people."""

GROUP_EPILOG = """
\b
Examples:
  jobqueue schedule add report --cron "0 6 * * mon-fri" --timezone Europe/Berlin
  jobqueue schedule add scan '{"repo": "octo/cat"}' --every 15m --name scan-octo
  jobqueue schedule list
  jobqueue schedule pause report --reason "no data today"
  jobqueue schedule run report

Any worker adds the jobs, one worker at a time. Without a worker nothing is added; the latest run that was missed is then
made up once, late. Schedules may also stand in jobqueue.yaml, below schedules:.
"""


@click.group(epilog=GROUP_EPILOG)
def schedule() -> None:
    """Add jobs at set times: add, list, remove, pause, resume, run."""


ADD_EPILOG = f"""
\b
Examples:
  jobqueue schedule add report --cron "0 6 * * mon-fri" --timezone Europe/Berlin
  jobqueue schedule add report --cron @daily --missed skip --priority high
  jobqueue schedule add scan --set repo=octo/cat --every 15m --name scan-octo --tag cats

A cron expression has five fields: minute, hour, day of month, month, day of week (0 or 7 is Sunday; names work, L is the
last, mon#2 the second Monday). Where both days are given, either will do. Also: @hourly, @daily, @weekly, @monthly, @yearly.

\b
--json: {{outcome, schedule}}, where outcome is created, replaced or unchanged, and schedule is
{SHAPE}
"""

JOB_OPTIONS = (
    click.option("--priority", metavar="0-99|NAME", type=Number(), help="Lower runs first: urgent, high, normal (10), low."),
    click.option("--max-attempts", type=int, metavar="N", help="All attempts, the first included (3)."),
    click.option("--backoff", type=Backoff(), metavar="5s|JSON", help="The wait between attempts: one, or a JSON list."),
    click.option("--timeout", type=duration, metavar="10m", help="The longest an attempt may run."),
    click.option("--expires-in", type=duration, metavar="1h", help="Never start a job later than so long after it was added."),
    click.option("--project", "-p", metavar="NAME", shell_complete=complete.projects, help="The project they belong to."),
    click.option("--batch", metavar="NAME", help="The batch they belong to."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; repeatable."),
    click.option("--concurrency-key", metavar="KEY", help="The concurrency key of its jobs."),
    click.option("--pipeline-version", metavar="TEXT", help="The version they run at."),
)


def job_options(command: Command) -> Command:
    for declare in reversed(JOB_OPTIONS):
        command = declare(command)
    return command


@schedule.command(epilog=ADD_EPILOG)
@click.argument("type", shell_complete=complete.types)
@click.argument("payload", required=False)
@click.option("--cron", metavar="EXPRESSION", help='When: "0 6 * * mon-fri", or a word like @daily.')
@click.option("--every", type=duration, metavar="15m", help="Instead: so often, counted from now.")
@click.option("--timezone", metavar="ZONE", help="The zone of --cron, like Europe/Berlin (UTC).")
@click.option("--name", metavar="NAME", help="Its name (the type); one that is taken is replaced.")
@click.option("--missed", type=click.Choice(["once", "skip"]), help="A run that was missed is made up once, late, or left out.")
@click.option("--overlap", type=click.Choice(["wait", "skip", "allow"]), help="While the job before is unfinished (wait).")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A key of the payload: JSON or text; repeatable.")
@job_options
@json_option
@queue_option
def add(type: str, payload: str | None, settings: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Let workers add a job of TYPE at set times."""
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    arguments = read_payload(payload, [read_setting(text) for text in settings])
    with open_queue(create=True) as queue:
        made = queue.schedule(type, arguments, **given)
        if as_json:
            echo_json({"outcome": made.outcome, "schedule": shape(made)})
            return
        click.echo(one_line(f"{made.outcome} {line(made)}"))
        if not queue.store.workers():
            note("no worker is running, and workers add the jobs; start one: jobqueue worker --handlers handlers.py")


LIST_EPILOG = f"""
\b
Examples:
  jobqueue schedule list
  jobqueue schedules --json

\b
--json: {{count, schedules: [schedule]}}, where schedule is
{SHAPE}
"""


@click.command("list", epilog=LIST_EPILOG)
@json_option
@queue_option
def list_schedules(as_json: bool) -> None:
    """List the schedules (also: jobqueue schedules), with their next and latest runs."""
    with open_queue() as queue:
        found = queue.schedules()
        if as_json:
            echo_json({"count": len(found), "schedules": [shape(one) for one in found]})
        elif found:
            draw_schedules(queue, found)
        else:
            click.echo("no schedules")
        for file, why in sorted(queue.store.schedules.problems.items()):
            note(f"schedules/{file} is no schedule and is left out: {why}")


def draw_schedules(queue: Queue, found: list[Schedule]) -> None:
    from jobqueue.cli.tables import Column, draw
    from jobqueue.model.schedule import describe
    from jobqueue.queue.scheduling import outlook

    now = queue.clock.now()
    columns = (Column("name", 100, whole=True), Column("type"), Column("when", 80), Column("next", 40), Column("last", 20))
    rows = []
    for one in found:
        record, last = one.record, one.last_run
        rows.append(
            (record.name, record.type, describe(record), outlook(record, now), "" if last is None else clock(last), record.note)
        )
    draw((*columns, Column("note", 120)), rows)
    click.echo(plural(len(found), "schedule"))


def clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


CHANGE_EPILOG = f"""
\b
--json: the schedule:
{SHAPE}
"""


@schedule.command()
@click.argument("name", shell_complete=complete.schedules)
@json_option
@queue_option
def remove(name: str, as_json: bool) -> None:
    """Remove a schedule; the jobs that it has added stay.

    --json: {name, removed}.
    """
    with open_queue() as queue:
        source = queue.schedules()[name].record.source
        queue.unschedule(name)
    if as_json:
        echo_json({"name": name, "removed": True})
    else:
        click.echo(f"removed {printable(name)}")
    if source:
        note(f"it comes from {source}; take it out there too, or the next worker that starts makes it again")


@schedule.command(epilog=CHANGE_EPILOG)
@click.argument("name", shell_complete=complete.schedules)
@click.option("--reason", default="", metavar="TEXT", help="Why, for whoever wonders.")
@json_option
@queue_option
def pause(name: str, reason: str, as_json: bool) -> None:
    """Add no jobs until `resume`."""
    with open_queue() as queue:
        queue.schedules()[name].pause(reason)
        tell(queue.schedules()[name], as_json)


@schedule.command(epilog=CHANGE_EPILOG)
@click.argument("name", shell_complete=complete.schedules)
@json_option
@queue_option
def resume(name: str, as_json: bool) -> None:
    """End the pause; a run that was missed meanwhile is made up as --missed says."""
    with open_queue() as queue:
        queue.schedules()[name].resume()
        tell(queue.schedules()[name], as_json)


@schedule.command()
@click.argument("name", shell_complete=complete.schedules)
@json_option
@queue_option
def run(name: str, as_json: bool) -> None:
    """Add a job now, whatever the time, and paused or not.

    --json: {outcome, job}, where job is as in `show --json`.
    """
    from jobqueue.cli.shapes import job_shape

    with open_queue() as queue:
        job = queue.schedules()[name].run()
        if as_json:
            echo_json({"outcome": job.outcome, "job": job_shape(job.located)})
        else:
            click.echo(f"{job.outcome} {printable(job.id)}")


schedule.add_command(list_schedules)


def tell(made: Schedule, as_json: bool) -> None:
    if as_json:
        echo_json(shape(made))
    else:
        click.echo(one_line(line(made)))


def line(made: Schedule) -> str:
    """What `repr` says, without its brackets."""
    return repr(made).removeprefix("<Schedule ").removesuffix(">")


def shape(made: Schedule) -> dict[str, Any]:
    from jobqueue.model.schedule import describe

    record = made.record
    fields: dict[str, Any] = plain(record)
    for name in ("created_at", "handled"):
        del fields[name]
    return fields | {"when": describe(record), "next_run": plain(made.next_run)}

"""`jobqueue enqueue`: one job from arguments, or many from a file."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import note, open_queue
from jobqueue.cli.options import Command, Kind, duration, json_option, number_or_text, queue_option
from jobqueue.cli.printing import colored, echo_json, plural, printable, printable_lines
from jobqueue.cli.requests import Request, read_lines, read_payload, read_requests, read_setting
from jobqueue.errors import InvalidJob, JobFailed, JobQueueError

if TYPE_CHECKING:
    from jobqueue.queue.handle import JobHandle
    from jobqueue.queue.queue import Queue

FOREVER = "forever"
GROUP = 5000
OTHERWISE = {"exists": "existed", "rejected": "rejected", "superseded": "superseded"}

EPILOG = """
\b
Examples:
  jobqueue enqueue scan '{"repo": "octo/cat"}'
  jobqueue enqueue scan --set repo=octo/cat --set depth=3 --priority high --delay 10m
  jobqueue enqueue export --key export-7 --wait=30s
  generate | jobqueue enqueue scan -                 # the payload from stdin
  jobqueue enqueue --file jobs.jsonl --project p1    # a line: {"type": "scan", "payload": {...}}
  jobqueue enqueue scan --file payloads.jsonl        # a line: {"repo": "octo/cat"}

Prints `created <id>` (and how many jobs it superseded), `exists <id>` where the key or the id was taken, or `rejected` and
the job that has the concurrency key. With --file every line is checked before the first job is stored, and options in a
line go before those of the command.

--json: {outcome, superseded, job}, where job is as in `show --json`; with --file {created, exists, rejected, superseded,
jobs: [{id, outcome}]}.
"""


class Json(Kind):
    """JSON where the text can be read as such, else the text."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return read_setting(f"value={value}")[1] if isinstance(value, str) else value


class Number(Kind):
    """A whole number written in the usual way, else the text."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return int(value) if isinstance(value, str) and value.isascii() and str(value).strip("-").isdigit() else value


class Patience(Kind):
    """How long to wait: a duration; for ever where nothing is said."""

    name = "timeout"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from jobqueue.model.times import parse_duration

        if value == FOREVER or not isinstance(value, str):
            return value
        text = value if isinstance(number_or_text(value), str) else f"{value}s"
        try:
            parse_duration(text)
        except InvalidJob:
            self.fail(f"{value!r} is not a duration; write --wait=30s, or --wait as the last word", param, ctx)
        return text


class Backoff(Kind):
    """A wait, or the list of waits or the object that `backoff` may be in Python."""

    name = "backoff"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return Json().convert(value, param, ctx) if str(value)[:1] in ("[", "{") else number_or_text(value)


JOB_OPTIONS = (
    click.option("--priority", metavar="0-99|NAME", type=Number(), help="Lower runs first: urgent, high, normal (10), low."),
    click.option("--delay", type=duration, metavar="10m", help="Not before so long from now."),
    click.option("--run-after", metavar="TIME", help="Not before this time: ISO 8601 with its zone."),
    click.option("--max-attempts", type=int, metavar="N", help="All attempts, the first included (3)."),
    click.option("--max-crashes", type=int, metavar="N", help="Attempts whose process may die (2)."),
    click.option("--max-retries", type=int, metavar="N", help="Attempts after the first."),
    click.option("--backoff", type=Backoff(), metavar="5s|JSON", help="The wait between attempts: one, or a JSON list."),
    click.option("--timeout", type=duration, metavar="10m", help="The longest an attempt may run."),
    click.option("--expires-in", type=duration, metavar="1h", help="Never start it later than so long from now."),
    click.option("--expires-at", metavar="TIME", help="Never start it after this time."),
    click.option("--after", multiple=True, metavar="ID", shell_complete=complete.ids(), help="Wait for this job; repeatable."),
    click.option("--on-parent-failure", type=click.Choice(["skip", "run", "fail"]), help="When a job of --after failed."),
    click.option("--key", "--idempotency-key", "idempotency_key", metavar="KEY", help="The same key finds the same job."),
    click.option("--key-scope", metavar="WORD|24h", help="How long the key holds: exists, active, or a duration."),
    click.option("--force", is_flag=True, help="Make a new job in spite of the key, and do items again that are done."),
    click.option("--name", metavar="TEXT", help="A name for people."),
    click.option("--project", "-p", metavar="NAME", shell_complete=complete.projects, help="The project it belongs to."),
    click.option("--batch", metavar="NAME", help="The batch it belongs to."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; repeatable."),
    click.option("--concurrency-key", metavar="KEY", help="Of all jobs with this key one runs at a time."),
    click.option(
        "--on-conflict",
        type=click.Choice(["wait", "reject", "supersede"]),
        help="While another job has the key: wait (the default), make none, or take its place.",
    ),
    click.option("--pipeline-version", metavar="TEXT", help="The version it runs at."),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        help="From which level on logging goes into its log: debug is the verbose one.",
    ),
    click.option("--run-id", type=Number(), metavar="ID", help="The run it belongs to."),
    click.option("--redo-of", type=Json(), metavar="JSON", help="What it repeats."),
    click.option("--row", type=Json(), metavar="JSON", help="Where its payload stood in the frame of its batch."),
    click.option("--id", metavar="ID", help="Its id, instead of one that sorts into the queue."),
)


def job_options(command: Command) -> Command:
    for declare in reversed(JOB_OPTIONS):
        command = declare(command)
    return command


@click.command(epilog=EPILOG)
@click.argument("type", required=False, shell_complete=complete.types)
@click.argument("payload", required=False)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A key of the payload: JSON, else text; repeatable."
)
@click.option("--file", "-f", metavar="FILE|-", type=click.Path(), help="One job for each line of JSON.")
@job_options
@click.option(
    *("--wait", "-w"),
    is_flag=False,
    flag_value=FOREVER,
    type=Patience(),
    metavar="[TIMEOUT]",
    help="Wait until it has finished, at most so long.",
)
@json_option
@queue_option
def enqueue(
    type: str | None,
    payload: str | None,
    settings: tuple[str, ...],
    file: str | None,
    wait: Any,
    as_json: bool,
    **options: Any,
) -> None:
    """Add a job, or one for each line of a file.

    TYPE names the handler, PAYLOAD is a JSON object with its arguments. Nothing else needs to run for this.
    """
    given = {name: value for name, value in options.items() if value is not None and value != () and value is not False}
    pairs = [read_setting(text) for text in settings]
    if file is not None:
        if payload is not None or pairs or wait is not None or "id" in given:
            raise click.UsageError("--file goes with neither PAYLOAD, --set, --wait nor --id")
        enqueue_file(file, type, given, as_json)
    elif type is None:
        raise click.UsageError("give the TYPE of the job, or --file with a job in each line")
    else:
        enqueue_one(type, read_payload(payload, pairs), given, wait, as_json)


def enqueue_one(type: str, payload: dict[str, Any], options: dict[str, Any], wait: Any, as_json: bool) -> None:
    from jobqueue.cli.shapes import job_shape

    with open_queue(create=True) as queue:
        with warnings_as_notes():
            job = queue.enqueue(type, payload, **options)
        if not as_json:
            click.echo(what_happened(job))
        if wait is not None:
            job.wait(None if wait == FOREVER else wait)
        located = job.located
        if as_json:
            echo_json({"outcome": job.outcome, "superseded": job.superseded, "job": job_shape(located)})
        if wait is not None:
            tell_result(job, as_json)


def what_happened(job: JobHandle[Any]) -> str:
    if job.outcome == "rejected":
        return f"rejected: {printable(job.conflict)}"
    return f"{job.outcome} {printable(job.id)}" + (f", superseded {plural(job.superseded)}" if job.superseded else "")


def tell_result(job: JobHandle[Any], as_json: bool) -> None:
    """How a job that was waited for has ended; a failed one is an error of this command."""
    located = job.located
    if located.status.value == "failed":
        error = located.job.error
        raise JobFailed(job.id, error.reason, error.message) if error else JobQueueError(f"job {job.id} failed")
    if not as_json:
        click.echo(f"{colored(located.status.value)} {printable(job.id)}")
        if located.job.result is not None:
            click.echo(json_lines(located.job.result))


def json_lines(value: Any) -> str:
    import json

    return printable_lines(json.dumps(value, ensure_ascii=False, indent=2))


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """`NoWorkerWarning` and the like in one line each, without the line of code they came from."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        note(str(warning.message))


def enqueue_file(file: str, type: str | None, options: dict[str, Any], as_json: bool) -> None:
    from jobqueue.cli.progress import in_groups

    lines = read_lines(file)
    with open_queue(create=True) as queue, warnings_as_notes():
        requests: list[Request] = []
        for group in in_groups(lines, "checking", GROUP):
            requests += read_requests(queue, group, file, type, options)
        stored: list[JobHandle[Any]] = []
        for part in in_groups(requests, "enqueueing", GROUP):
            stored += put(queue, part, len(stored), len(requests))
    counts = Counter(job.outcome for job in stored)
    counts["superseded"] = sum(job.superseded for job in stored)
    if as_json:
        jobs = [{"id": job.id, "outcome": job.outcome} for job in stored]
        echo_json({**{word: counts[word] for word in ("created", *OTHERWISE)}, "jobs": jobs})
    else:
        others = [f", {counts[word]:,} {said}" for word, said in OTHERWISE.items() if counts[word]]
        click.echo(f"created {plural(counts['created'])}" + "".join(others))


def put(queue: Queue, requests: Any, before: int, total: int) -> list[JobHandle[Any]]:
    """Stores some of the jobs; an error says how many of the lines had been stored already."""
    stored: list[JobHandle[Any]] = []
    try:
        for (force, given), group in groupby(requests, key=lambda request: request.manner):
            jobs = [request.job for request in group]
            stored += queue.put(jobs, {"force": force, "id": given or None})
    except (JobQueueError, OSError) as error:
        if before + len(stored) == 0:
            raise
        raise JobQueueError(f"{error} ({before + len(stored):,} of {total:,} lines had been stored before)") from error
    return stored

"""`show` and `why`: everything about one job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import age, colored, echo_json, printable, printable_lines
from jobqueue.inert import shell_word

if TYPE_CHECKING:
    from jobqueue.model.job import Attempt, Failure
    from jobqueue.queue.queue import Queue
    from jobqueue.store.base import Located

LOG_LINES = 10
SHOW_EPILOG = """
\b
Examples:
  jobqueue show 10-20261122T061500123456-7f3a9c2b
  jobqueue show my-job --json          # a dropped file, by its name
  jobqueue show --last --type scan

--json: {id, status, type, name, payload, priority, run_after, expires_at, max_attempts, max_crashes, backoff, timeout, after,
on_parent_failure, idempotency_key, key_scope, concurrency_key, on_conflict, pipeline_version, project, batch, redo_of,
row, run_id, tags, force, log_level, created_at, updated_at, attempts, claimed_at, finished_at, locked_by,
error: {reason, type, message, traceback, exit_code, peak_memory}, result,
progress: {percent, message, done, total, seconds_left, attempt, at, metrics}, metrics, artifacts,
ran: {due_at, seconds, code, version, subject},
history: [{number, outcome, worker, claimed_at, finished_at, error, metrics, ran}], extra, owner, cancelling,
rejected, file, position, why}. Every key is always there; timeout is in seconds, and ran is of the latest attempt.
"""


@click.command(epilog=SHOW_EPILOG)
@click.argument("id", required=False, shell_complete=complete.ids())
@click.option("--last", is_flag=True, help="The job that was made last, instead of an ID.")
@click.option("--type", "-t", metavar="TYPE", shell_complete=complete.types, help="With --last: the last of this type.")
@json_option
@queue_option
def show(id: str | None, last: bool, type: str | None, as_json: bool) -> None:
    """Show everything about a job: its fields, its error, its file."""
    from jobqueue.cli.shapes import job_shape

    if (id is not None) == last or (type is not None and not last):
        raise click.UsageError("give the ID of a job, or --last (with --type, if need be)")
    with open_queue() as queue:
        job = queue.last(type) if id is None else queue.get(id)
        located = job.located
        log = job.log(LOG_LINES)
        found = {"file": file_of(queue, job.id), "position": queue.position(job.id), "why": queue.why(job.id)}
        now = queue.clock.now()
    if as_json:
        echo_json({**job_shape(located), **found})
    else:
        tell_job(located, found, now)
        if log:
            click.echo(f"\nlog (the last lines; all: jobqueue logs {shell_word(job.id)})\n{printable_lines(log, indent='  ')}")


def file_of(queue: Queue, id: str) -> str | None:
    """Where the file lies at this moment."""
    from jobqueue.store.spool import Spool

    if not isinstance(queue.store, Spool):
        return None
    place = queue.store.folder.find(id)
    return None if place is None else str(queue.store.folder.path_of(place))


def tell_job(located: Located, found: dict[str, Any], now: datetime) -> None:
    job = located.job
    click.echo(f"{printable(job.id)}  {printable(job.type)}  {colored(located.status.value)}")
    click.echo(printable_lines(found["why"], indent="  "))
    click.echo()
    for label, text in (*place_lines(located, found), *field_lines(located, now)):
        click.echo(f"{label:18} {printable(text)}")
    for label in ("payload", "result", "metrics", "artifacts", "redo_of", "row", "extra"):
        if getattr(job, label) or label == "payload":
            click.echo(f"\n{label}\n{json_block(getattr(job, label))}")
    if job.history:
        click.echo("\nhistory")
        for attempt in job.history:
            click.echo(printable_lines(attempt_line(attempt, now), indent="  "))
    if job.last_error is not None:
        tell_error(job.last_error)


def place_lines(located: Located, found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for label in ("file", "position"):
        if found[label] is not None:
            yield label, str(found[label])
    if located.owner is not None:
        yield "owner", located.owner + (" (asked to stop)" if located.cancelling else "")
    if located.reason is not None:
        yield "rejected", located.reason


TEXTS = (
    *("name", "project", "batch", "run_id", "idempotency_key", "key_scope", "concurrency_key", "pipeline_version"),
    *("on_parent_failure", "log_level"),
)
LISTS = ("tags", "after")
RAN = ("subject", "version", "code")
"""What ran in the latest attempt."""
TIMES = ("created_at", "updated_at", "run_after", "expires_at", "claimed_at", "finished_at")


def field_lines(located: Located, now: datetime) -> Iterator[tuple[str, str]]:
    """The fields that are set, one line each."""
    from jobqueue.model.progress import in_words
    from jobqueue.model.times import short

    job = located.job
    yield "priority", str(job.priority)
    yield "attempts", f"{job.attempts} of {job.most_attempts}"
    if job.progress is not None:
        yield "progress", in_words(job.progress)
    if job.timeout is not None:
        yield "timeout", short(job.timeout)
    if job.backoff is not None:
        yield "backoff", backoff_line(job.backoff)
    for name in LISTS:
        if getattr(job, name):
            yield name, ", ".join(getattr(job, name))
    for name in TEXTS:
        value = getattr(job, name)
        if value is not None and not (name == "on_parent_failure" and not job.after):
            yield name, str(value)
    for name in RAN:
        if (value := getattr(job.last_ran, name)) is not None:
            yield name, value
    for name in TIMES:
        moment = getattr(job, name)
        if moment is not None:
            yield name, f"{moment:%Y-%m-%d %H:%M:%S} UTC ({age(moment, now)})"


def backoff_line(backoff: Any) -> str:
    from jobqueue.model.times import short

    if backoff.steps:
        return ", ".join(short(step) for step in backoff.steps)
    return f"{short(backoff.base)}, times {backoff.factor:g} each time, at most {short(backoff.cap)}"


def json_block(value: Any) -> str:
    return printable_lines(json.dumps(value, ensure_ascii=False, indent=2, default=str), indent="  ")


def attempt_line(attempt: Attempt, now: datetime) -> str:
    ended = f" {age(attempt.finished_at, now)}" if attempt.finished_at is not None else ""
    worker = f" on {attempt.worker}" if attempt.worker else ""
    error = f": {attempt.error.message}" if attempt.error is not None else ""
    return f"{attempt.number}. {attempt.outcome}{ended}{worker}{error}"


def tell_error(error: Failure) -> None:
    kind = f"{error.type}: " if error.type else ""
    click.echo(f"\nerror ({printable(error.reason)})\n{printable_lines(kind + error.message, indent='  ')}")
    if error.traceback:
        click.echo(f"\n{printable_lines(error.traceback, indent='  ')}")


WHY_EPILOG = """
\b
Examples:
  jobqueue why my-job
  jobqueue why my-job --json

--json: {id, status, position, why}; position is null where the job is not pending.
"""


@click.command(epilog=WHY_EPILOG)
@click.argument("id", shell_complete=complete.ids())
@json_option
@queue_option
def why(id: str, as_json: bool) -> None:
    """Say in one sentence why a job does not run, or how it ended."""
    with open_queue() as queue:
        job = queue.get(id)
        sentence = queue.why(job)
        answer = {"id": job.id, "status": job.status, "position": queue.position(job), "why": sentence}
    if as_json:
        echo_json(answer)
    else:
        click.echo(printable_lines(sentence))

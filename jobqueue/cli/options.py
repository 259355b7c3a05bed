"""Options that many commands share, and the kinds of values they take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.errors import InvalidJob
from jobqueue.model.status import Status, parse_statuses

if TYPE_CHECKING:
    Kind = click.ParamType[Any]
else:
    Kind = click.ParamType  # generic only in later releases

Command = Callable[..., Any]
QUEUE = "jobqueue.queue"
FILTERS = ("status", "type", "project", "batch", "tag", "key", "text", "reason", "since", "until", "older_than")


def remember_queue(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """The option may stand before the command and behind it; the later one counts."""
    if value == "" and not ctx.resilient_parsing:
        raise click.BadParameter("an empty path; is a variable not set?", ctx, param)
    if value:
        ctx.meta[QUEUE] = value


queue_option = click.option(
    "--queue",
    "-q",
    metavar="PATH",
    type=click.Path(),
    expose_value=False,
    is_eager=True,
    callback=remember_queue,
    help="The queue folder (default: JOBQUEUE_DIR, then jobqueue.yaml, then ./queue_dir).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document (its shape is told below).")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


class Duration(Kind):
    """`10m`, or a bare number of seconds; whether the text can be read is for the model to say."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return number_or_text(value)


class Statuses(Kind):
    """A status, an alias of one, or several with commas."""

    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Status, ...]:
        try:
            return value if isinstance(value, tuple) else parse_statuses(value)
        except InvalidJob as error:
            self.fail(str(error).removeprefix("status: "), param, ctx)


class PageSize(Kind):
    """A number of jobs, or `all` (None)."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if isinstance(value, str) and value != "all" and not (value.isascii() and value.isdigit()):
            self.fail(f"{value!r} is not the size of a page; give a number, or all", param, ctx)
        return None if value == "all" else int(value)


def number_or_text(value: Any) -> Any:
    try:
        return int(value) if str(value).isdigit() else float(value)
    except ValueError:
        return value


duration, statuses, page_size = Duration(), Statuses(), PageSize()

filter_declarations = (
    click.option(
        "--status",
        "-s",
        multiple=True,
        type=statuses,
        metavar="WORD",
        shell_complete=complete.statuses,
        help="pending, claimed, done or failed, or a word such as queued or running; repeatable.",
    ),
    click.option(
        "--type", "-t", multiple=True, metavar="TYPE", shell_complete=complete.types, help="Jobs of this type; repeatable."
    ),
    click.option("--project", "-p", metavar="NAME", shell_complete=complete.projects, help="Jobs of this project."),
    click.option("--batch", metavar="NAME", help="Jobs of this batch."),
    click.option("--tag", metavar="TAG", help="Jobs with this tag."),
    click.option("--key", metavar="KEY", help="Jobs with this idempotency key."),
    click.option("--text", metavar="TEXT", help="This text anywhere in id, type, name, tags, payload or error."),
    click.option("--reason", metavar="WORD", help="Why it failed: error, crashed, timeout, cancelled, expired, ..."),
    click.option("--since", type=duration, metavar="AGE|TIME", help="Changed since then: 24h, or ISO 8601 with its zone."),
    click.option("--until", type=duration, metavar="AGE|TIME", help="Last changed before then."),
    click.option("--older-than", type=duration, metavar="AGE", help="Not changed for so long: 7d."),
)


def filter_options(command: Command) -> Command:
    """Gives a command the filters of `Queue.jobs`, and hands those that were used to it as `filters`."""

    @functools.wraps(command)
    def filtered(**given: Any) -> Any:
        return command(filters=used_filters({name: given.pop(name) for name in FILTERS}), **given)

    for declare in reversed(filter_declarations):
        filtered = declare(filtered)
    return filtered


def used_filters(given: dict[str, Any]) -> dict[str, Any]:
    if given["until"] is not None and given["older_than"] is not None:
        raise click.UsageError("--until and --older-than say the same; give one of them")
    given["status"] = [status for group in given["status"] for status in group]
    return {name: value for name, value in given.items() if value is not None and value != () and value != []}

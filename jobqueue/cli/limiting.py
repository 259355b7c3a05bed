"""`limit`, `budget` and `limits`: how often, how many at a time, and how much of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line, printable

if TYPE_CHECKING:
    from jobqueue.model.budget import Spent
    from jobqueue.model.limit import Limit
    from jobqueue.queue.queue import Queue

SHAPE = """\
{limits: [{type, rate, per_minute, concurrency}], budgets: [{type, metric, amount, per, spent, left, since, until}]}; the
type null is the whole queue."""

LIMIT_EPILOG = f"""
\b
Examples:
  jobqueue limit fetch --rate 30/m
  jobqueue limit fetch --rate 5/s --concurrency 2
  jobqueue limit --concurrency 8          # the whole queue
  jobqueue limit fetch --clear

It holds for all workers together, outlasts restarts, and goes before jobqueue.yaml and the handler.

\b
--json: {SHAPE}
"""


@click.command(epilog=LIMIT_EPILOG)
@click.argument("type", required=False, shell_complete=complete.types)
@click.option("--rate", metavar="30/m", help="At most so many starts in any window: 30/m, 5/s, 100/10m.")
@click.option("--concurrency", type=int, metavar="N", help="At most so many at a time.")
@click.option("--clear", is_flag=True, help="Take back what was said here.")
@json_option
@queue_option
def limit(type: str | None, rate: str | None, concurrency: int | None, clear: bool, as_json: bool) -> None:
    """Limit how often jobs start, and how many run at a time.

    Those of a TYPE, or of the whole queue.
    """
    given: dict[str, Any] = {"rate": rate, "concurrency": concurrency}
    if clear == (rate is not None or concurrency is not None):
        raise click.UsageError("give --rate, --concurrency or both, or --clear alone; `jobqueue limits` shows what holds")
    said = given if clear else {name: value for name, value in given.items() if value is not None}
    with open_queue() as queue:
        holds = queue.limit(type, **said)
        if as_json:
            echo_json(shape(queue))
        else:
            click.echo(one_line(f"{type or 'the whole queue'}: {holds}"))


BUDGET_EPILOG = f"""
\b
Examples:
  jobqueue budget extract tokens=1000000 --per day
  jobqueue budget extract dollars=20 --per month
  jobqueue budget extract tokens=none

When the jobs of the type have used that much (what handlers count with ctx.metric), the type is paused until the period is
over: hour, day, week, month (in UTC), or a duration such as 12h.

\b
--json: {SHAPE}
"""


@click.command(epilog=BUDGET_EPILOG)
@click.argument("type", shell_complete=complete.types)
@click.argument("amounts", nargs=-1, required=True, metavar="METRIC=AMOUNT...")
@click.option("--per", default="day", show_default=True, metavar="PERIOD", help="hour, day, week, month, or a duration.")
@json_option
@queue_option
def budget(type: str, amounts: tuple[str, ...], per: str, as_json: bool) -> None:
    """Pause a TYPE once its jobs have used so much in a period."""
    given = dict(read_amount(text) for text in amounts)
    if "per" in given:
        raise click.BadParameter("per cannot be the name of a metric; the period is --per", param_hint="'METRIC=AMOUNT'")
    with open_queue() as queue:
        spending = queue.budget(type, per=per, **given)
        if as_json:
            echo_json(shape(queue))
        else:
            for line in [str(spent) for spent in spending] or [f"{type}: no budget"]:
                click.echo(one_line(line))


def read_amount(text: str) -> tuple[str, float | None]:
    metric, equals, amount = text.partition("=")
    try:
        if metric and equals:
            return metric, None if amount.lower() == "none" else float(amount.replace("_", "").replace(",", ""))
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not METRIC=AMOUNT, like tokens=1000000", param_hint="'METRIC=AMOUNT'")


LIMITS_EPILOG = f"""
\b
Examples:
  jobqueue limits
  jobqueue limits --json

\b
--json: {SHAPE}
"""


@click.command(epilog=LIMITS_EPILOG)
@json_option
@queue_option
def limits(as_json: bool) -> None:
    """List the limits that hold and what was used of the budgets.

    Limits come from `jobqueue limit`, from jobqueue.yaml, and from the handlers of live workers.
    """
    with open_queue() as queue:
        if as_json:
            echo_json(shape(queue))
            return
        lines = [limit_line(type, holds) for type, holds in queue.limits().items()]
        lines += [one_line(str(spent)) for spending in queue.budgets().values() for spent in spending]
    for line in lines or ["no limits"]:
        click.echo(line)


def limit_line(type: str | None, holds: Limit) -> str:
    return f"{'the whole queue' if type is None else printable(type)}: {holds}"


def shape(queue: Queue) -> dict[str, Any]:
    return {
        "limits": [limit_shape(type, holds) for type, holds in queue.limits().items()],
        "budgets": [spent_shape(spent) for spending in queue.budgets().values() for spent in spending],
    }


def limit_shape(type: str | None, holds: Limit) -> dict[str, Any]:
    rate = holds.rate
    return {
        "type": type,
        "rate": None if rate is None else str(rate),
        "per_minute": None if rate is None else rate.per_minute,
        "concurrency": holds.concurrency,
    }


def spent_shape(spent: Spent) -> dict[str, Any]:
    budget = spent.budget
    found = {"type": spent.type, "metric": budget.metric, "amount": budget.amount, "per": budget.per}
    return {**found, "spent": spent.spent, "left": spent.left, "since": spent.since, "until": spent.until}

"""`metrics` and `errors`: what happened over a range of time."""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import duration, json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line, plural, printable_lines
from jobqueue.errors import Unsupported
from jobqueue.inert import shell_word

if TYPE_CHECKING:
    import pandas as pd

    from jobqueue.analytics.errors import Errors
    from jobqueue.analytics.metrics import Metrics

FITTING = ((2, timedelta(hours=1)), (14, timedelta(hours=6)), (92, timedelta(days=1)), (1100, timedelta(weeks=1)))
"""Up to so many days, how long the periods are, so that a chart fits a screen."""
LONGEST = timedelta(weeks=4)
WIDEST, PIPED = 60, 100
COLORS = ("green", "red")
MOST_LINES = 400
SOME = 20

RANGES = ("24h", "7d", "30d", "all")
GROUPS = ("type", "project", "outcome", "version", "worker", "host", "batch", "subject", "reason", "error_type", "name", "code")

METRICS_EPILOG = """
\b
Examples:
  jobqueue metrics
  jobqueue metrics --range 7d --by type
  jobqueue metrics --range 30d --every 1d --timezone Europe/Berlin --project p1
  jobqueue metrics --range all --json
  jobqueue metrics --prometheus > /var/lib/node_exporter/jobqueue.prom

A range ends now and has whole periods: 24h by the hour is this hour and the 23 before it. A job counts when it has ended:
one that failed and was done at a later try is one success. Cancelled jobs are not counted. Purging jobs changes nothing.

--json: {successRate, avgDuration, minDuration, maxDuration, totalTokens, hourlyBreakdown: [{hour, completed, failed,
avgDuration, tokens}]}; durations are milliseconds, and null is what nothing tells. With --by: {by, groups: {name: the same
without hourlyBreakdown}}.
"""


@click.command(epilog=METRICS_EPILOG)
@click.option(
    "--range",
    "-r",
    "range_",
    metavar="RANGE",
    shell_complete=complete.quiet(lambda _: RANGES),
    help="24h (unless given), 7d, 30d, all, or another duration; ends now.",
)
@click.option(
    "--since", type=duration, metavar="AGE|TIME", help="From then on, instead of --range: 90m, or ISO 8601 with its zone."
)
@click.option("--until", type=duration, metavar="AGE|TIME", help="Up to then, instead of --range.")
@click.option("--every", metavar="TIME", help="How long a period is: 1h, 15m, 1d, 1w; as fits the range unless given.")
@click.option(
    "--by",
    metavar="WORD",
    shell_complete=complete.quiet(lambda _: GROUPS),
    help="One line for each type, project, outcome, version, worker, host, batch, ...",
)
@click.option("--project", "-p", metavar="NAME", shell_complete=complete.projects, help="Jobs of this project.")
@click.option(
    "--type", "-t", multiple=True, metavar="TYPE", shell_complete=complete.types, help="Jobs of this type; repeatable."
)
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="Where days begin: Europe/Berlin.")
@click.option(
    "--count", type=click.Choice(["jobs", "attempts"]), default="jobs", show_default=True, help="What success counts."
)
@click.option("--prometheus", is_flag=True, help="Print the text that Prometheus scrapes, about the whole queue.")
@json_option
@queue_option
def metrics(range_: str | None, every: str | None, by: str | None, prometheus: bool, as_json: bool, **given: Any) -> None:
    """Show success, durations and tokens over time."""
    require_analytics()
    from jobqueue import analytics
    from jobqueue.cli.progress import waiting

    if prometheus:
        refuse_beside_prometheus(range_, every, by, as_json, given)
        with open_queue() as queue, waiting("counting"):
            text = analytics.prometheus(queue)
        click.echo(text, nl=False)
        return
    given["type"] = list(given["type"]) or None
    if range_ is None and given["since"] is None and given["until"] is None:
        range_ = "24h"
    with open_queue() as queue, waiting("counting"):
        found = analytics.metrics(queue, range_, by=by, every=every or "1h", **given)
        answer = shape(found) if as_json else None
    echo_json(answer) if answer is not None else tell_metrics(found, chosen=every is not None)


def refuse_beside_prometheus(
    range_: str | None, every: str | None, by: str | None, as_json: bool, given: dict[str, Any]
) -> None:
    chosen = [given[name] for name in ("since", "until", "project", "type")]
    if as_json or any(value is not None and value != () for value in (range_, every, by, *chosen)):
        raise click.UsageError("--prometheus is about the whole queue and all time; give it alone")


def require_analytics() -> None:
    """pandas and what goes with it are an extra; the command without them says how to get it."""
    try:
        import jobqueue.analytics  # noqa: F401
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("pandas", "numpy", "pyarrow", "duckdb"):
            raise
        raise Unsupported(f"this command needs {error.name}; run: pip install 'jobqueue[analytics]'") from None


def shape(found: Metrics) -> dict[str, Any]:
    if not found.by:
        return found.summary
    from jobqueue.analytics.metrics import group_summaries

    return {"by": found.by[0], "groups": group_summaries(found)}


def tell_metrics(found: Metrics, chosen: bool) -> None:
    from jobqueue.analytics.telling import metrics_facts, metrics_head

    click.echo(one_line(metrics_head(found)))
    if found.start is None:
        return
    facts = metrics_facts(found.total)
    tell_facts(facts)
    click.echo()
    draw_groups(found) if found.by else draw_chart(found.by_time(found.every if chosen else fitting(found.hours / 24)))


def tell_facts(facts: list[tuple[str, str]]) -> None:
    width = max(len(word) for word, _ in facts)
    for word, said in facts:
        click.echo(f"  {word:<{width}}  {said}")


def draw_groups(found: Metrics) -> None:
    from jobqueue.analytics.telling import metrics_table
    from jobqueue.cli.tables import Column, draw

    titles, rows = metrics_table(found)
    draw((Column(titles[0], 60), *(Column(title, 24, right=True, whole=True) for title in titles[1:])), rows)


def fitting(days: float) -> timedelta:
    return next((every for most, every in FITTING if days <= most), LONGEST)


def draw_chart(frame: pd.DataFrame) -> None:
    """A bar for each period: what succeeded and what failed differ in the sign, and then in color."""
    good, bad = signs()
    numbers = list(zip(frame["completed"].tolist(), frame["failed"].tolist(), strict=True))
    most = max((done + failed for done, failed in numbers), default=0)
    labels = [f"{start:%d %b %H:%M}" for start in frame.index]
    width = max(1, min(WIDEST, room() - len("00 Mon 00:00") - len(f"{most:,} done, {most:,} failed") - 6))
    for label, (done, failed) in list(zip(labels, numbers, strict=True))[-MOST_LINES:]:
        bars = lengths(done, failed, most, width)
        bar = "".join(
            click.style(sign * size, fg=color) for sign, size, color in zip((good, bad), bars, COLORS, strict=True) if size
        )
        said = ", ".join([f"{done:,} done"] * (done > 0) + [f"{failed:,} failed"] * (failed > 0))
        click.echo(f"  {label}  {bar}  {said}" if bar else f"  {label}")
    if most:
        click.echo(f"  {good} completed  {bad} failed")


def room() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED


def signs() -> tuple[str, str]:
    """Blocks where the terminal can show them."""
    try:
        "█░".encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return "#", "-"
    return "█", "░"


def lengths(done: int, failed: int, most: int, width: int) -> tuple[int, int]:
    """How long the two parts of a bar are: what there is has at least one sign."""
    whole = max(round((done + failed) / most * width), (done > 0) + (failed > 0)) if most else 0
    bad = min(max(round(failed / (done + failed) * whole), failed > 0), whole - (done > 0)) if whole else 0
    return whole - bad, int(bad)


ERRORS_EPILOG = """
\b
Examples:
  jobqueue errors
  jobqueue errors --since 24h --type scan
  jobqueue errors --group 1
  jobqueue errors --since 7d --json

Like failures are one group: the same exception, and the same message without its numbers, ids, paths, times and quoted
values. --group tells all about one of them, and how to run its jobs again.

--json: {count, groups: [{reason, type, message, count, first_seen, last_seen, types, versions, workers, place, example, sample,
jobs}]}; jobs are the ids, the newest first.
"""
GROUP = (
    "reason",
    "type",
    "message",
    "count",
    "first_seen",
    "last_seen",
    "types",
    "versions",
    "workers",
    "place",
    "example",
    "sample",
    "jobs",
)


@click.command(epilog=ERRORS_EPILOG)
@click.option("--since", type=duration, metavar="AGE|TIME", help="Failed since then: 24h, or ISO 8601 with its zone.")
@click.option("--until", type=duration, metavar="AGE|TIME", help="Failed before then.")
@click.option("--project", "-p", metavar="NAME", shell_complete=complete.projects, help="Jobs of this project.")
@click.option(
    "--type", "-t", multiple=True, metavar="TYPE", shell_complete=complete.types, help="Jobs of this type; repeatable."
)
@click.option(
    "--limit", "-n", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Groups in the table."
)
@click.option("--group", "-g", type=click.IntRange(min=1), metavar="N", help="Everything about the group of this number.")
@json_option
@queue_option
def errors(limit: int, group: int | None, as_json: bool, **given: Any) -> None:
    """Show failures, like ones counted together."""
    require_analytics()
    from jobqueue import analytics
    from jobqueue.cli.progress import waiting

    given["type"] = list(given["type"]) or None
    with open_queue() as queue:
        with waiting("grouping"):
            found = analytics.errors(queue, **given)
        if as_json:
            echo_json({"count": len(found), "groups": [{name: getattr(one, name) for name in GROUP} for one in found]})
        elif group is not None:
            tell_group(found, group)
        else:
            draw_errors(found, limit)


def tell_group(found: Errors, number: int) -> None:
    if number > len(found):
        raise click.UsageError(f"there are {len(found)} groups; --group {number} is none of them")
    one = found[number - 1]
    click.echo(printable_lines(str(one)))
    ids = list(one)
    if ids:
        words = " ".join(map(shell_word, ids[:SOME])) + " ..." * (len(ids) > SOME)
        click.echo(f"\nfailed now: {plural(len(ids))}; run again: jobqueue retry {words}")


def draw_errors(found: Errors, limit: int) -> None:
    from jobqueue.analytics.telling import error_row, errors_head
    from jobqueue.cli.tables import Column, draw

    if not found:
        click.echo("no failures")
        return
    names = ("", "count", "jobs", "last seen", "first seen", "types", "error", "place", "versions", "example")
    shown = (0, 1, 3, 5, 6, 7, 9)
    whole = {"", "count", "last seen", "example"}
    rows = [[error_row(number, one)[place] for place in shown] for number, one in enumerate(found[:limit], 1)]
    columns = [Column(names[place], 300, whole=names[place] in whole, right=place < 2) for place in shown]
    draw(columns, rows)
    click.echo(errors_head(found) + ("" if len(found) <= limit else f"; the first {limit} are shown"))

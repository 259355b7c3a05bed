"""`retry`, `cancel`, `delete`, `purge` and `restore`: by ids, or by a filter after a question."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli import completing as complete
from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import Command, dry_run_option, duration, filter_options, json_option, queue_option, yes_option
from jobqueue.cli.printing import echo_json, one_line, plural, printable
from jobqueue.errors import FilterRequired, JobQueueError
from jobqueue.model.status import FINISHED, Status

if TYPE_CHECKING:
    from jobqueue.queue.bulk import Bulk
    from jobqueue.queue.queue import Queue
    from jobqueue.store.base import Change

Act = Callable[[list[str]], "Sequence[Change]"]
SHOWN = 10
JSON_SHAPE = """
--json: {verb, dry_run, count, changed: [id], cancelling: [id], refused: {id: why}}; with --dry-run, changed is what would be.
"""


def ids_argument(*among: Status) -> Callable[[Command], Command]:
    return click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete.ids(*among))


def carry_out(verb: str, ids: Sequence[str], rehearse: Callable[[], Bulk], act: Act, dry_run: bool, yes: bool) -> Bulk:
    """Ids are acted on at once; what a filter chose is counted and asked about first."""
    from jobqueue.cli.progress import in_groups, waiting
    from jobqueue.queue.bulk import Bulk

    if dry_run or not ids:
        with waiting("looking"):
            rehearsal = rehearse()
        if dry_run:
            return rehearsal
        if len(rehearsal) and not yes:
            agree(verb, len(rehearsal))
        ids = [*rehearsal.ids, *rehearsal.cancelling]
        refused = [change for change in rehearsal.changes if change.outcome in ("refused", "missing")]
    else:
        refused = []
    changes: list[Change] = []
    for group in in_groups(list(dict.fromkeys(ids)), verb):
        changes += act(list(group))
    return Bulk(verb, changes + refused)


def agree(verb: str, count: int) -> None:
    """Asks whoever sits at the terminal; nobody there means no."""
    if not somebody_is_there():
        raise FilterRequired(
            f"{verb}: this filter chooses {plural(count)}; nobody can be asked here, so add --yes or --dry-run"
        )
    if not click.confirm(f"{verb} {plural(count)}?", err=True):
        raise JobQueueError("nothing was changed")


def somebody_is_there() -> bool:
    return sys.stdin.isatty()


def need_ids_or_filter(verb: str, ids: Sequence[str], filters: dict[str, Any]) -> None:
    if not ids and not filters:
        raise click.UsageError(f"say which jobs: ids, or a filter such as `{verb} --type scan`")
    refuse_both(ids, filters)


def refuse_both(ids: Sequence[str], filters: dict[str, Any]) -> None:
    if ids and filters:
        raise click.UsageError("give ids or filters, not both")


def tell(bulk: Bulk, ids: Sequence[str], as_json: bool) -> None:
    """What was done. Exit code 1 where a job that was named could not be changed, or a filter chose none that could."""
    if as_json:
        from jobqueue.cli.shapes import bulk_shape

        echo_json(bulk_shape(bulk))
    else:
        tell_in_words(bulk)
    for why in list(bulk.refused.values())[:SHOWN]:
        click.echo(f"error: {one_line(why)}", err=True)
    if len(bulk.refused) > SHOWN:
        click.echo(f"error: and {len(bulk.refused) - SHOWN:,} more were refused", err=True)
    if bulk.refused and (ids or not len(bulk)):
        click.get_current_context().exit(1)


def tell_in_words(bulk: Bulk) -> None:
    from jobqueue.queue.bulk import PAST

    would = "would be " if bulk.dry_run else ""
    if len(bulk.ids) <= SHOWN:
        for id in bulk.ids:
            click.echo(f"{would}{PAST[bulk.verb]} {printable(id)}")
    else:
        click.echo(f"{plural(len(bulk.ids))} {would}{PAST[bulk.verb]}")
    for id in bulk.cancelling[:SHOWN]:
        click.echo(f"{would}asked to stop {printable(id)}: {bulk.asked[id]}")
    if len(bulk.cancelling) > SHOWN:
        click.echo(f"and {len(bulk.cancelling) - SHOWN:,} more running jobs {would}asked to stop")
    if not bulk.changes:
        click.echo("no job matches")


RETRY_EPILOG = f"""
\b
Examples:
  jobqueue retry 10-20261122T061500123456-7f3a9c2b
  jobqueue retry --type scan --since 1h --dry-run
  jobqueue retry --project p1 --reason timeout --delay 10m --yes
{JSON_SHAPE}"""


@click.command(epilog=RETRY_EPILOG)
@ids_argument(*FINISHED)
@filter_options
@click.option("--delay", type=duration, metavar="10m", help="Run them again only so long from now.")
@click.option("--include", multiple=True, type=click.Choice(["cancelled", "rejected"]), help="With a filter: these too.")
@dry_run_option
@yes_option
@json_option
@queue_option
def retry(
    ids: tuple[str, ...],
    filters: dict[str, Any],
    delay: Any,
    include: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Run failed or done jobs again, from their first attempt.

    What happened stays in their history. A filter means failed jobs unless it says --status, and leaves out cancelled and
    rejected ones unless they are included.
    """
    need_ids_or_filter("retry", ids, filters)
    included = {"include": include} if include and not ids else {}
    named = list(ids) or None
    with open_queue() as queue:
        bulk = carry_out(
            "retry",
            ids,
            lambda: queue.retry(named, dry_run=True, **filters, **included),
            lambda group: queue.retry(group, delay=delay).changes,
            dry_run,
            yes,
        )
    tell(bulk, ids, as_json)


CANCEL_EPILOG = f"""
\b
Examples:
  jobqueue cancel my-job
  jobqueue cancel --project p1 --dry-run
  jobqueue cancel --status pending --type scan --yes
{JSON_SHAPE}"""


@click.command(epilog=CANCEL_EPILOG)
@ids_argument(Status.PENDING, Status.CLAIMED)
@filter_options
@dry_run_option
@yes_option
@json_option
@queue_option
def cancel(ids: tuple[str, ...], filters: dict[str, Any], dry_run: bool, yes: bool, as_json: bool) -> None:
    """End pending jobs, and ask running ones to stop.

    A filter means pending and claimed jobs unless it says --status.
    """
    need_ids_or_filter("cancel", ids, filters)
    named = list(ids) or None
    with open_queue() as queue:
        bulk = carry_out(
            "cancel",
            ids,
            lambda: queue.cancel(named, dry_run=True, **filters),
            lambda group: queue.cancel(group).changes,
            dry_run,
            yes,
        )
    tell(bulk, ids, as_json)


PURGE_EPILOG = f"""
\b
Examples:
  jobqueue purge --dry-run                   # all done jobs
  jobqueue purge --status done,failed --older-than 7d --yes
  jobqueue restore --type scan --yes         # the undo
{JSON_SHAPE}"""


@click.command(epilog=PURGE_EPILOG)
@ids_argument(*FINISHED)
@filter_options
@dry_run_option
@yes_option
@json_option
@queue_option
def purge(ids: tuple[str, ...], filters: dict[str, Any], dry_run: bool, yes: bool, as_json: bool) -> None:
    """Move finished jobs to the trash: all done ones, or a choice.

    A filter means done jobs unless it says --status. `jobqueue restore` brings them back. Metrics do not change.
    """
    from jobqueue.queue.choosing import read_filter

    refuse_both(ids, filters)
    named = list(ids) or None
    with open_queue() as queue:
        where = read_filter({name: value for name, value in filters.items() if name != "status"}, queue.clock.now())
        keep = None if ids or where.empty else where
        bulk = carry_out(
            "purge",
            ids,
            lambda: queue.purge(named, dry_run=True, **filters),
            lambda group: queue.store.purge(group, where=keep),
            dry_run,
            yes,
        )
    tell(bulk, ids, as_json)


DELETE_EPILOG = f"""
\b
Examples:
  jobqueue delete my-job
  jobqueue delete --status pending --tag trial --dry-run
{JSON_SHAPE}"""

NOT_CLAIMED = (Status.PENDING, *FINISHED)


@click.command(epilog=DELETE_EPILOG)
@ids_argument(*NOT_CLAIMED)
@filter_options
@dry_run_option
@yes_option
@json_option
@queue_option
def delete(ids: tuple[str, ...], filters: dict[str, Any], dry_run: bool, yes: bool, as_json: bool) -> None:
    """Move jobs to the trash, pending ones too.

    A running one must be cancelled first. `jobqueue restore` brings them back.
    """
    need_ids_or_filter("delete", ids, filters)
    with open_queue() as queue:
        bulk = carry_out(
            "delete",
            ids,
            lambda: rehearse_delete(queue, ids, filters),
            lambda group: queue.store.purge(group, pending=True),
            dry_run,
            yes,
        )
    tell(bulk, ids, as_json)


def rehearse_delete(queue: Queue, ids: Sequence[str], filters: dict[str, Any]) -> Bulk:
    from jobqueue.queue.bulk import Bulk
    from jobqueue.queue.choosing import read_filter, rehearse

    if not ids:
        rest = {name: value for name, value in filters.items() if name != "status"}
        where = read_filter(rest, queue.clock.now())
        page = queue.store.scan(statuses=filters.get("status", NOT_CLAIMED), where=where, limit=None)
        ids = [located.job.id for located in page.items]
    return Bulk("delete", rehearse(queue.store, "delete", ids, NOT_CLAIMED), dry_run=True)


RESTORE_EPILOG = f"""
\b
Examples:
  jobqueue restore my-job
  jobqueue restore --type scan --since 1h --dry-run
{JSON_SHAPE}"""


@click.command(epilog=RESTORE_EPILOG)
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete.trashed_ids)
@filter_options
@dry_run_option
@yes_option
@json_option
@queue_option
def restore(ids: tuple[str, ...], filters: dict[str, Any], dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take purged or deleted jobs back out of the trash."""
    need_ids_or_filter("restore", ids, filters)
    if "status" in filters:
        raise click.UsageError("jobs in the trash have no status; use another filter")
    with open_queue() as queue:
        bulk = carry_out(
            "restore",
            ids,
            lambda: rehearse_restore(queue, ids, filters),
            lambda group: queue.restore(group).changes,
            dry_run,
            yes,
        )
    tell(bulk, ids, as_json)


def rehearse_restore(queue: Queue, ids: Sequence[str], filters: dict[str, Any]) -> Bulk:
    from jobqueue.queue.bulk import Bulk
    from jobqueue.store.base import Change

    trashed = [job.id for job in queue.trashed(**filters)]
    here = set(trashed)
    missing = (Change(id, "missing", why=f"no job {id!r} in the trash") for id in ids if id not in here)
    chosen = [id for id in ids if id in here] if ids else trashed
    return Bulk("restore", [*(Change(id, "changed") for id in chosen), *missing], dry_run=True)

"""`start` and `stop`: workers that run by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import duration, json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue
    from jobqueue.queue.seen import WorkerHandle

START_EPILOG = """
\b
Examples:
  jobqueue start --handlers handlers.py
  jobqueue start --handlers handlers.py --types scan --concurrency 4 --wait 1m

--json: {name, pid, started}; started is false where a live worker served these handlers already.
"""


@click.command(epilog=START_EPILOG)
@click.option("--handlers", "-H", multiple=True, metavar="MODULE|FILE.py", help="Where the handlers are; may be given again.")
@click.option("--types", "-t", multiple=True, metavar="TYPE", help="Serve only these types; may be given again.")
@click.option("--concurrency", "-c", type=int, metavar="N", help="Jobs at a time.")
@click.option("--reload", is_flag=True, help="For development: it starts anew when the code of its handlers changes.")
@click.option("--wait", type=duration, default="10s", show_default=True, metavar="30s", help="For it to sign on, at most.")
@json_option
@queue_option
def start(handlers: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Start a worker in the background, unless there is one.

    One that serves these handlers already is taken as it is. It runs until `stop`.
    """
    with open_queue() as queue:
        before = {worker.name for worker in queue.workers()}
        worker = queue.ensure_worker(handlers or None, **{**options, "types": options["types"] or None})
    started = worker.name not in before
    if as_json:
        echo_json({"name": worker.name, "pid": worker.pid, "started": started})
    else:
        click.echo(f"{'started' if started else 'already there'}: {one_line(worker.name)}")


STOP_EPILOG = """
\b
Examples:
  jobqueue stop worker-4711-1763791400123-1f2e
  jobqueue stop --all --wait 1m
  jobqueue stop --all --now

--json: {count, stopped: [name]}.
"""


@click.command(epilog=STOP_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="All live workers on this host.")
@click.option("--now", is_flag=True, help="Hand back running jobs at once, without the grace time.")
@click.option("--wait", type=duration, metavar="30s", help="Until they have ended, so long at most.")
@json_option
@queue_option
def stop(names: tuple[str, ...], every: bool, now: bool, wait: Any, as_json: bool) -> None:
    """Ask workers to end; no attempt is lost.

    They claim no more, and running jobs get the grace time; what still runs then is handed back.
    """
    if bool(names) == every:
        raise click.UsageError("name workers (see: jobqueue workers), or give --all")
    with open_queue() as queue:
        chosen = chosen_workers(queue, names)
        for worker in chosen:
            worker.stop(now=now)
            if not as_json:
                click.echo(f"asked to stop: {one_line(worker.name)}")
        for worker in chosen if wait is not None else ():
            worker.stop(now=now, wait=wait)
    if as_json:
        echo_json({"count": len(chosen), "stopped": [worker.name for worker in chosen]})


def chosen_workers(queue: Queue, names: tuple[str, ...]) -> list[WorkerHandle]:
    """Those that were named, or all on this host."""
    from jobqueue.errors import JobQueueError
    from jobqueue.store.locks import host

    live = {worker.name: worker for worker in queue.workers()}
    for name in names:
        if name not in live:
            raise JobQueueError(f"no live worker is called {name!r}; there are: {', '.join(live) or 'none'}")
    return [live[name] for name in names] if names else [worker for worker in live.values() if worker.host == host()]

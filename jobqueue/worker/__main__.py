"""`python -m jobqueue.worker`: a worker process over a queue folder."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from jobqueue.inert import inert, inert_logger

if TYPE_CHECKING:
    from jobqueue.queue.config import Config
    from jobqueue.worker.worker import Worker

log = inert_logger("jobqueue.worker")
AGAIN_AFTER = 0.2
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
EXAMPLES = """
\b
Examples:
  python -m jobqueue.worker --handlers handlers.py
  python -m jobqueue.worker --queue queue_dir --handlers shop.jobs --types export,scan --concurrency 4
  python -m jobqueue.worker --handlers handlers.py --drain
"""


def words(value: Sequence[str]) -> tuple[str, ...] | None:
    """Options that may be given several times, or once with commas."""
    return tuple(word for part in value for word in part.split(",") if word) or None


@click.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--queue", "-q", "queue_dir", metavar="PATH", help="The queue folder (JOBQUEUE_DIR, jobqueue.yaml, ./queue_dir).")
@click.option("--handlers", "-H", multiple=True, metavar="MODULE|FILE.py", help="Where the handlers are; may be given again.")
@click.option("--types", "-t", multiple=True, metavar="A,B", help="Serve only these types and leave all others pending.")
@click.option("--concurrency", "-c", type=int, metavar="N", help="Jobs at a time (1, or JOBQUEUE_CONCURRENCY).")
@click.option("--executor", "-e", type=click.Choice(["process", "thread", "inline"]), help="Where handlers run (process).")
@click.option("--once", is_flag=True, help="Do at most one job, then end.")
@click.option("--drain", is_flag=True, help="Do all that is due, then end.")
@click.option("--grace", metavar="30s", help="How long running jobs may go on when the worker is told to stop.")
@click.option("--cancel-grace", metavar="5s", help="How long a job may heed a cancel before SIGTERM, and then before SIGKILL.")
@click.option("--max-jobs-per-child", type=int, metavar="N", help="Replace a process after so many jobs (never).")
@click.option(
    "--max-memory", metavar="500MB", help="Replace a process that holds more after a job; it is never killed while it runs one."
)
@click.option("--reload", is_flag=True, help="For development: start anew when the code of the handlers changes.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What to log (info, or JOBQUEUE_LOG)."
)
def command(once: bool, drain: bool, reload: bool, **options: Any) -> int:
    """Runs the jobs of a queue folder until it is told to stop (Ctrl-C or SIGTERM).

    The first signal lets running jobs finish within the grace time and hands back the rest, their attempt uncounted;
    a second one stops at once. Several workers may share one folder.
    """
    from jobqueue.errors import JobQueueError

    try:
        return serve(once, drain, reload, options)
    except JobQueueError as error:
        click.echo(f"error: {inert(str(error))}", err=True)
        return 1


def serve(once: bool, drain: bool, reload: bool, options: dict[str, Any]) -> int:
    from jobqueue.errors import HandlerError
    from jobqueue.queue.config import load_config
    from jobqueue.queue.queue import Queue
    from jobqueue.queue.registry import Registry
    from jobqueue.worker.reload import Reloader
    from jobqueue.worker.worker import Worker

    options["handlers"] = words(options["handlers"])
    options["types"] = words(options["types"])
    config = load_config().with_arguments(**options)
    logging.basicConfig(level=config.log_level.upper(), format=LOG_FORMAT, stream=sys.stderr)
    if not config.handlers:
        raise HandlerError(
            "no handlers: name their module or file with --handlers handlers.py, or under handlers: in jobqueue.yaml"
        )
    reloader = Reloader(config.handlers) if reload else None
    registry = Registry.load(config.handlers) if reloader is None else reloader.load()
    if not os.path.lexists(config.queue_dir):
        log.warning("%s: no such folder; making a new, empty queue there", config.queue_dir)
    queue = Queue(config=config)
    say_what_the_folder_can_do(queue)
    worker = Worker(
        queue,
        registry,
        types=config.types,
        concurrency=config.concurrency,
        executor=config.executor,
        poll_interval=config.poll_interval,
        grace=config.grace,
        cancel_grace=config.cancel_grace,
        max_jobs_per_child=config.max_jobs_per_child,
        max_memory=config.max_memory,
    )
    worker.reloader = reloader
    listen_to_signals(worker, config)
    code = run(worker, once, drain)
    if worker.reloader is not None and worker.reloader.changed:
        worker.reloader.start_anew()
    if worker.running:  # threads that cannot be ended: their jobs are free when this process is gone
        logging.shutdown()
        os._exit(code)
    queue.close()
    return code


def run(worker: Worker, once: bool, drain: bool) -> int:
    """Its exit code: 1 where it had to give up, with the reason on the screen."""
    try:
        worker.run(once=once, drain=drain)
    except OSError as error:
        click.echo(f"error: {inert(str(error))}", err=True)
        return 1
    return 0


def say_what_the_folder_can_do(queue: Any) -> None:
    """One line about the file system under the queue; refuses to start where a worker would not be safe."""
    from jobqueue.errors import QueueFolderError
    from jobqueue.store.selftest import selftest, summary

    findings = selftest(queue.store.folder)
    log.info("%s", summary(findings))
    for finding in findings:
        if finding.level == "fail":
            raise QueueFolderError(f"{queue.store.url}: {finding.what}: {finding.found}; {finding.fix}")


def listen_to_signals(worker: Worker, config: Config) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        if worker.stopping:
            worker.hurry = True
            interrupt(number, frame)
            return
        worker.stopping = True  # before anything is said: a second signal may come in the middle of it
        worker.reloader = None
        log.info("%s: claiming no more; running jobs have %g s", signal.Signals(number).name, config.grace)
        worker.wake()
        if worker.in_handler and config.grace > 0:
            signal.setitimer(signal.ITIMER_REAL, config.grace)
        elif worker.in_handler:
            interrupt(number, frame)

    def interrupt(number: int, frame: FrameType | None) -> None:
        from jobqueue.worker.run import HandBack

        worker.wake()
        if worker.in_handler:
            signal.setitimer(signal.ITIMER_REAL, AGAIN_AFTER)  # a handler that catches everything meets it again
            raise HandBack

    signal.signal(signal.SIGALRM, interrupt)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    try:
        return int(command.main(arguments, prog_name="python -m jobqueue.worker", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""Opening the queue that a command is about."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from jobqueue.cli.options import QUEUE
from jobqueue.cli.printing import one_line
from jobqueue.errors import QueueFolderError

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue


class Notes(logging.Handler):
    """What the store has to say (a dropped file was set aside), in the manner of this program."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


notes = Notes(logging.WARNING)


def note(message: str) -> None:
    click.echo(f"note: {one_line(message)}", err=True)


def open_queue(*, create: bool = False) -> Queue:
    """The queue that was named, or the one that the settings lead to. One that is missing is made only on request."""
    from jobqueue.queue.config import load_config
    from jobqueue.queue.opening import MEMORY
    from jobqueue.queue.queue import Queue

    logger = logging.getLogger("jobqueue")
    logger.addHandler(notes)
    click.get_current_context().find_root().call_on_close(lambda: logger.removeHandler(notes))
    config = load_config()
    path = chosen_path() or config.queue_dir
    if path == MEMORY:
        raise QueueFolderError(f"{MEMORY}: a queue in memory would end with this command; name a folder with --queue")
    return Queue(path, config=config, create=create)


def chosen_path() -> str | None:
    """What --queue said, before the command or behind it."""
    path: str | None = click.get_current_context().meta.get(QUEUE)
    return path

"""From what a user calls a queue (a path, `:memory:`, a store) to its store."""

from __future__ import annotations

import os

from jobqueue.errors import Unsupported
from jobqueue.model.clock import Clock
from jobqueue.queue.config import Config
from jobqueue.store.base import Store
from jobqueue.store.memory import MemoryStore
from jobqueue.store.spool import Spool

MEMORY = ":memory:"


def open_store(path: str | os.PathLike[str] | Store | None, config: Config, clock: Clock, create: bool) -> Store:
    """The store behind a path (by default that of the settings); raises `QueueFolderError` or `Unsupported`."""
    if path is None:
        path = config.queue_dir
    if path == MEMORY:
        return MemoryStore(clock)
    if not isinstance(path, (str, os.PathLike)):
        return path
    if "://" in str(path):
        raise Unsupported(f"{path}: there is no store for such an address; give a folder, or ':memory:'")
    return Spool(
        path,
        clock=clock,
        durability=config.durability,
        settle_time=config.settle_time,
        max_file_size=config.max_file_size,
        max_log_size=config.max_log_size,
        create=create,
    )

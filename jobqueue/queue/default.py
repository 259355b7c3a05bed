"""The default queue of this process: opened on first use, again when the settings lead elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from jobqueue.queue.config import load_config
from jobqueue.queue.context import JobContext
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.queue import Queue

P = ParamSpec("P")
R = TypeVar("R")
opened: dict[tuple[Path, int], Queue] = {}
instead: list[Queue] = []


def default_queue() -> Queue:
    """`JOBQUEUE_DIR`, then `queue_dir` in the nearest jobqueue.yaml, then `./queue_dir`."""
    if instead:
        return instead[-1]
    config = load_config()
    key = (Path(config.queue_dir).absolute(), os.getpid())
    if key not in opened:
        opened[key] = Queue(config=config)
    return opened[key]


@contextmanager
def used(queue: Queue) -> Iterator[Queue]:
    """This queue is the default one for as long as the block lasts."""
    instead.append(queue)
    try:
        yield queue
    finally:
        instead.remove(queue)


@overload
def enqueue(type: str, payload: Mapping[str, Any] | None = None, /, **options: Any) -> JobHandle[Any]: ...
@overload
def enqueue(handler: Callable[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
@overload
def enqueue(handler: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
def enqueue(what: Any, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
    """Adds a job to the default queue; see `Queue.enqueue`. For another one: `Queue(path).enqueue(...)`."""
    return default_queue().enqueue(what, *args, **kwargs)

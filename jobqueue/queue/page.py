"""A page of jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobqueue.queue.handle import JobHandle
from jobqueue.queue.showing import mimebundle


class JobPage(list[JobHandle[Any]]):
    """A page of jobs: a list of handles, `len(page)` of them, out of `total` that match."""

    def __init__(self, handles: Iterable[JobHandle[Any]], total: int) -> None:
        super().__init__(handles)
        self.total = total

    _repr_mimebundle_ = mimebundle

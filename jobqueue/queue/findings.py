"""What a look at a queue found, as people read it: lines in a terminal, a table in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobqueue.queue.showing import mimebundle
from jobqueue.store.finding import Finding

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue


class Findings(list[Finding]):
    """A list of `Finding`, each with `level`, `what`, `found` and `fix`."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__
    _repr_mimebundle_ = mimebundle


def check(queue: Queue, repair: bool) -> Findings:
    """The body of `Queue.check`."""
    from jobqueue.store.check import check

    return Findings(check(queue.store, repair))

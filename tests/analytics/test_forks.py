"""A process that has read the journal forks: its child keeps what it inherited, and reads anew for itself."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path

from jobqueue import Queue
from jobqueue.analytics import attempts, history


def in_child(work: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_child_frees_nothing_that_its_parent_had_read(tmp_path: Path) -> None:
    """Freed there, DuckDB would wait for threads that only the parent has, and crash."""
    queue = Queue(tmp_path / "q")
    queue.enqueue("scan")
    attempts(queue)
    read = weakref.ref(history.history_of(queue.store))

    def let_go() -> bool:
        queue.store.close()
        gc.collect()
        return read() is not None

    assert in_child(let_go)
    queue.close()


def test_a_forked_child_reads_for_itself(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q")
    queue.enqueue("scan")
    before = history.history_of(queue.store)

    def read_anew() -> bool:
        with Queue(tmp_path / "q") as mine:
            return history.history_of(mine.store) is not before and len(attempts(mine)) == 0

    attempts(queue)
    assert in_child(read_anew)
    queue.close()

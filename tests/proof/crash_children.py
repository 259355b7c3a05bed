"""Children that end without a word at the n-th step that changes the disk."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable

from jobqueue.store import files

ENDED = 9
"""What a child says that was ended at its step."""


def crash_after(steps: int) -> Callable[[str], None]:
    left = [steps]

    def probe(name: str) -> None:
        if left[0] == 0:
            os._exit(ENDED)
        left[0] -= 1

    return probe


def in_child(work: Callable[[], object]) -> int:
    """Runs `work` in a forked child: 0 when it returned, 9 when it was ended at its step, 1 when it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(60)
        work()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def count_steps(work: Callable[[], object]) -> int:
    """How many steps change the disk in `work`, which is done in a child."""
    reading, writing = os.pipe()

    def counted() -> None:
        number = [0]
        files.probe = lambda _: number.__setitem__(0, number[0] + 1)
        work()
        os.write(writing, str(number[0]).encode())

    assert in_child(counted) == 0
    os.close(writing)
    with os.fdopen(reading) as stream:
        return int(stream.read())

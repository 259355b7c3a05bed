"""Starts a worker process that nobody owns: it outlives whoever started it, and what it says goes to a file of its own."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from jobqueue.store import files
from jobqueue.store.layout import HIDDEN, OUTPUT, STARTING
from jobqueue.store.spool import Spool

KEPT = 20
"""Files with the output of workers that are kept, the newest."""
LAST_WORDS = 4000


class Launched(NamedTuple):
    """A process that was started, and the file with its output."""

    process: subprocess.Popen[bytes]
    output: Path
    folder: int

    def last_words(self) -> str:
        """The end of what it said, as text."""
        with suppress(OSError):
            file = os.open(self.output.name, files.LOOK, dir_fd=self.folder)
            try:
                start = max(0, os.fstat(file).st_size - LAST_WORDS)
                return os.pread(file, LAST_WORDS, start).decode("utf-8", "replace").strip()
            finally:
                os.close(file)
        return ""


def launch(spool: Spool, command: Sequence[str]) -> Launched:
    """Starts it in a session of its own: neither Ctrl-C, a closed terminal nor the end of this process reaches it."""
    folder = spool.folder.fds[OUTPUT]
    forget_old(folder)
    name = f"worker-{time.time_ns() // 1_000_000}-{os.urandom(2).hex()}.log"
    file = os.open(name, files.APPEND, 0o600, dir_fd=folder)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    finally:
        os.close(file)
    # As long as we live it is our child: without this it would stay a zombie when it ends.
    threading.Thread(target=process.wait, name="jobqueue-reaper", daemon=True).start()
    return Launched(process, spool.path / HIDDEN / OUTPUT / name, folder)


def forget_old(folder: int) -> None:
    """The names begin with the time: the newest are kept."""
    for name in sorted(files.names(folder))[:-KEPT]:
        files.remove(folder, name)


def one_at_a_time(spool: Spool) -> AbstractContextManager[None]:
    """Held while somebody looks for a worker and starts one, so that two who find none start one, not two."""
    return spool.locks.hold(STARTING)

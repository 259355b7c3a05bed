"""One thing in a queue folder that breaks a rule, and how it could be mended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from jobqueue.store.finding import Level


class Problem(NamedTuple):
    """`name` is the file, `found` what is wrong with it. `mend` puts it right, without a loss and on a queue in use;
    it answers False where there was nothing left to do, or where it could not be done safely."""

    what: str
    name: str
    found: str
    fix: str
    mend: Callable[[], bool] | None = None
    mended: str = ""
    level: Level = "warn"
    mark: Any = None
    """What else must be the same at the second look, such as the inode."""

    @property
    def key(self) -> tuple[str, str, Any]:
        return (self.what, self.name, self.mark)


def stat_of(folder: int, name: str) -> os.stat_result | None:
    """Of the entry itself, not of what it points to; None where it is gone."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:  # the file has gone, or its claim folder has
        return None


def age(folder: int, name: str) -> float:
    """Seconds since the file was written; less than zero where it is gone."""
    seen = stat_of(folder, name)
    return -1.0 if seen is None else time.time() - seen.st_mtime

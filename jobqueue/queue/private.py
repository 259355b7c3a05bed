"""Files outside of the queue that hold what was in it: a bundle, a notebook. Nobody else reads them until somebody says so."""

from __future__ import annotations

import os
from typing import BinaryIO

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def open_private(path: str | os.PathLike[str]) -> BinaryIO:
    """A new file for its owner alone, whatever the umask. Raises `FileExistsError` rather than write over one."""
    return os.fdopen(os.open(path, NEW, 0o600), "wb")

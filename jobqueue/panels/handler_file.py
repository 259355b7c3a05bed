"""`%%handlers`: a cell becomes a file of handlers, which a worker loads as it loads any other."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from IPython.core.error import UsageError

from jobqueue.queue.handler import Handler
from jobqueue.queue.registry import Registry

FIRST = "# Written by a cell, %%handlers: change it there and run the cell again.\n"


def written(path: Path, body: str, overwrite: bool) -> list[Handler]:
    """Writes the file in one step, and loads it. What does not compile, or no cell has written, changes no file."""
    if path.suffix != ".py":
        raise UsageError(f"%%handlers: {path} must end in .py")
    if not overwrite and os.path.lexists(path) and not came_from_a_cell(path):
        raise UsageError(f"%%handlers: {path} is there, and no cell has written it; take another name, or --overwrite")
    source = FIRST + body
    compile(source, str(path), "exec")
    beside = path.with_name(f".{path.name}.{uuid4().hex[:12]}")
    try:
        beside.write_text(source, "utf-8")
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    forget(path)
    registry = Registry.load(path)
    return [handler for type in sorted(registry.types) if (handler := registry.get(type)) is not None]


def came_from_a_cell(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(FIRST.encode())


def forget(path: Path) -> None:
    """The module of an earlier version of this file, under whatever name it was imported."""
    wanted = str(path.absolute())
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == wanted:
            del sys.modules[name]

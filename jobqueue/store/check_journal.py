"""Checks of the journal: lines that cannot be read, and what is no file of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from jobqueue.store import files
from jobqueue.store.journal import Journal
from jobqueue.store.journal_lines import ENDING, PACKED, UNREADABLE, is_entry, kind_of, lines_in
from jobqueue.store.layout import HIDDEN
from jobqueue.store.problem import Problem, stat_of
from jobqueue.store.spool import Spool


def find_torn_lines(spool: Spool) -> Iterator[Problem]:
    for name in spool.journal.names():
        torn, lines, damaged = count_lines(spool.journal, name)
        if torn or damaged:
            found = (
                f"{torn} of {lines} lines cannot be read; they are skipped" if torn else f"ends, damaged, after line {lines}"
            )
            fix = "nothing: the metrics lack these attempts, no job is lost"
            yield Problem("torn journal lines", f"{HIDDEN}/journal/{name}", found, fix)


def count_lines(journal: Journal, name: str) -> tuple[int, int, bool]:
    """How many lines are torn, how many there are, and whether the file ends before its end (a damaged archive)."""
    torn = lines = 0
    try:
        with journal.open(name) as stream:
            for text in lines_in(stream):
                lines += 1
                torn += not is_entry(text)
    except FileNotFoundError:
        return torn, lines, False
    except UNREADABLE:
        return torn, lines, True
    return torn, lines, False


def find_strays_in_journal(spool: Spool) -> Iterator[Problem]:
    folder = spool.folder.fds["journal"]
    for name in files.names(folder):
        if not name.endswith((ENDING, ENDING + PACKED)):
            continue
        with suppress(OSError):
            seen = stat_of(folder, name)
            if seen is not None and (kind := kind_of(seen.st_mode)):
                path = f"{HIDDEN}/journal/{name}"
                yield Problem("stray in the journal", path, f"is {kind}; nobody reads or writes it", "move it away")

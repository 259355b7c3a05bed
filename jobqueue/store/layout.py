"""What stands where in a queue folder, and what its names mean. The only module that knows them.

    queue_dir/
      pending/  <id>.json              people may cp, mv and edit here
      claimed/  <owner>[~2]/<id>.json  a worker's two folders, or one of an operation in progress
      done/     <id>.json
      failed/   <id>.json  <id>.reason the reason of a rejected drop, beside its untouched bytes
      .jobqueue/
        tmp/ locks/ workers/ keys/ limits/ cancel/ trash/ journal/   arrivals  control.json
        processed/                                           which items are done, see processed.py
        progress/ checkpoints/ items/ logs/ artifacts/       what running jobs leave, see notes.py
        output/                                              what detached workers say, see launching.py
        cache/                                               what was derived, made when it is needed, see cache.py

A worker has two claim folders under one lock. It never claims a file into the folder that wrote it last, so that inside
`claimed/<folder>/` a file says `written_by: <folder>` only when this very claim recorded an outcome in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from jobqueue.model.job import DEFAULT_PRIORITY
from jobqueue.model.names import ID, read_stamp
from jobqueue.model.status import Status

STATUS_FOLDERS = tuple(status.value for status in Status)
HIDDEN = ".jobqueue"
NOTES_FOLDERS = ("progress", "checkpoints", "items", "logs", "artifacts")
OUTPUT = "output"
CACHE = "cache"
SUPPORT_FOLDERS = (
    *("tmp", "locks", "workers", "keys", "limits", "cancel", "trash", "journal", "schedules", "processed"),
    *NOTES_FOLDERS,
    OUTPUT,
)
ARRIVALS = "arrivals"
CONTROL = "control.json"
MAINTENANCE = "maintenance"
RULING = "control"
STARTING = "starting"
SCHEDULES = "schedules"
RETENTION = "retention"
KEEPING = "journal"
SHARED_LOCKS = (MAINTENANCE, RULING, STARTING, SCHEDULES, RETENTION, KEEPING)

SUFFIX = ".json"
REASON = ".reason"
RESERVE = ".reserve"
BALLAST = ".ballast"
SPARE = (RESERVE, BALLAST)
"""What a worker keeps for a full disk, see commit.py."""
OPERATION = "op-"
SECOND = "~2"
LONGEST_NAME = 255
COPY = re.compile(r"~(\d+)$", re.ASCII)


def is_job_name(name: str) -> bool:
    """Whether a file with this name can be a job; editors' and copiers' temporary names are left alone for ever."""
    return name.endswith(SUFFIX) and name[0] not in ".#" and len(name) > len(SUFFIX)


def job_names(names: Iterable[str]) -> list[str]:
    """Those for which `is_job_name` holds, said once more in place: of a million names the calls would cost most."""
    end, least = SUFFIX, len(SUFFIX)
    return [name for name in names if name.endswith(end) and name[0] not in ".#" and len(name) > least]


def file_name(id: str) -> str | None:
    """The name of the file of an id, or None where no file can have that name."""
    name = id + SUFFIX
    if "/" in name or "\0" in name or not is_job_name(name):
        return None
    try:
        return name if len(os_bytes(name)) <= LONGEST_NAME else None
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return None


def job_id(name: str) -> str:
    return name[: -len(SUFFIX)]


def note_name(name: str, ending: str) -> str:
    """The name of something that belongs to the job in the file `name`; endings are no longer than `.json`."""
    return job_id(name) + ending


def is_ours(name: str) -> bool:
    """Whether the name was made by this package, so that it says its place in the order by itself."""
    found = ID.fullmatch(name, 0, len(name) - len(SUFFIX))
    return found is not None and (not is_delayed_name(name) or read_stamp(name_time(name)) is not None)


def is_delayed_name(name: str) -> bool:
    return name[24:25] == "d"


def name_time(name: str) -> str:
    """The time in one of our names, comparable with `stamp`."""
    return name[3:24]


def order_key(priority: int, stamp: str, name: str) -> str:
    """The key of a name that does not say its place by itself; comparable with our own names."""
    return f"{priority:02}-{stamp}-{name}"


def copy_name(name: str) -> str:
    """The next name to try when this one is taken: `x.json`, `x~1.json`, `x~2.json` (cut to fit where it is long)."""
    stem = job_id(name)
    match = COPY.search(stem)
    number = int(match[1]) + 1 if match else 1
    base = stem[: match.start()] if match else stem
    return numbered(base, number)


def free_name(name: str, taken: Callable[[str], bool]) -> str:
    """The name itself, or the next like it that is free. In steps that double and then halve: the thousandth file of one
    name costs twenty looks, not a thousand."""
    if not taken(name):
        return name
    stem = job_id(name)
    match = COPY.search(stem)
    base, known = (stem[: match.start()], int(match[1])) if match else (stem, 0)
    step = 1
    while taken(numbered(base, known + step)):
        known, step = known + step, step * 2
    free = known + step
    while free - known > 1:
        middle = (known + free) // 2
        if taken(numbered(base, middle)):
            known = middle
        else:
            free = middle
    return numbered(base, free)


def numbered(base: str, number: int) -> str:
    return fit(base, f"~{number}{SUFFIX}")


def reason_name(name: str) -> str:
    return fit(job_id(name), REASON)


def fit(stem: str, ending: str) -> str:
    room = LONGEST_NAME - len(ending)
    while len(os_bytes(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def os_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def is_owner_folder(name: str) -> bool:
    return name[0] != "." and owner_of(name) != ""


def owner_of(folder: str) -> str:
    return folder.removesuffix(SECOND)


def folders_of(owner: str) -> tuple[str, ...]:
    return (owner,) if owner.startswith(OPERATION) else (owner, owner + SECOND)


def default_key(name: str, stamp: str) -> str:
    return order_key(DEFAULT_PRIORITY, stamp, name)

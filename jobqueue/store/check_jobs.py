"""Checks of the job files: one place for each, an outcome in each finished one, nobody else's eyes on them."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial

from jobqueue.inert import shell_word
from jobqueue.model.filter import status_of
from jobqueue.model.job import Job
from jobqueue.model.status import FINISHED, Status
from jobqueue.store import files
from jobqueue.store.folder import Place
from jobqueue.store.intake import Look, look
from jobqueue.store.layout import REASON, is_job_name, is_ours, reason_name
from jobqueue.store.moving import Outcome
from jobqueue.store.problem import Problem, age, stat_of
from jobqueue.store.spool import Spool

ROUNDS = 3
MINUTE = 60.0


# One place for each job


def find_doubles(spool: Spool) -> Iterator[Problem]:
    """One id, two files. A dropped file may have any name: it gets another one when it is claimed."""
    places: defaultdict[str, list[Place]] = defaultdict(list)
    for status in Status:
        for place in spool.reading.places(status):
            if status is not Status.PENDING or is_ours(place.name):
                places[place.name].append(place)
    for name, found in places.items():
        if len(found) > 1 and all(at_once(found) for _ in range(ROUNDS)):
            where = " and ".join(f"{place.status}/{place.claim_folder}".rstrip("/") for place in found)
            fix = "compare them; to keep both, give one another name (mv x.json x~1.json), never one in claimed/"
            yield Problem("one id in two places", name, f"is in {where}", fix, level="fail")


def at_once(found: list[Place]) -> bool:
    """Whether the files are there at the same time: the first is the same before and after all others were seen."""
    seen = [stat_of(place.folder, place.name) for place in (*found, found[0])]
    return None not in seen and seen[0].st_ino == seen[-1].st_ino  # type: ignore[union-attr]


# An outcome in each finished one


def find_wrong_outcomes(spool: Spool) -> Iterator[Problem]:
    for status in FINISHED:
        for place in spool.reading.places(status):
            seen = look(place.folder, place.name)
            if seen.job is not None:
                yield from wrong_outcome(spool, place, seen.job, seen)
            elif seen.problem and not has_reason(place):
                yield unreadable(spool, place, seen)
            elif seen.skip not in ("", "gone", "busy"):
                yield Problem("unusable file", shown(place), seen.skip, "move it away", mark=seen.mark)


def wrong_outcome(spool: Spool, place: Place, job: Job, seen: Look) -> Iterator[Problem]:
    if not job.finished:
        if not has_reason(place):
            fix = f"to run it: mv {shell_word(shown(place))} pending/; otherwise delete it"
            yield Problem("no outcome", shown(place), "never ran, so it was moved here by hand", fix, mark=seen.mark)
    elif status_of(job) is not place.status:
        outcome = "an error" if job.error is not None else "a result"
        yield Problem(
            "outcome in the wrong folder",
            shown(place),
            f"carries {outcome}",
            f"mv {shell_word(shown(place))} {status_of(job)}/",
            partial(move_to_its_folder, spool, place),
            "moved to the folder that the outcome speaks of",
            mark=seen.mark,
        )


def unreadable(spool: Spool, place: Place, seen: Look) -> Problem:
    mend = partial(set_aside, spool, place)
    fix = f"mend it and: mv {shell_word(shown(place))} pending/"
    mended = "set aside in failed/, with the reason beside"
    return Problem("unreadable file", shown(place), seen.problem, fix, mend, mended, mark=seen.mark)


def move_to_its_folder(spool: Spool, place: Place) -> bool:
    """Through a claim folder of our own, like every move; looked at again there."""
    with spool.moving.operation() as owner:
        held = spool.moving.seize(place, owner)
        if held is None:
            return False
        job = spool.moving.look_at(held).job
        to = status_of(job) if job is not None and job.finished else place.status
        spool.moving.carry_out([Outcome(held, to)])
        return to is not place.status


def set_aside(spool: Spool, place: Place) -> bool:
    with spool.moving.operation() as owner:
        held = spool.moving.seize(place, owner)
        if held is None:
            return False
        problem = spool.moving.look_at(held).problem
        if problem:
            spool.moving.set_held_aside([(held, problem)])
        else:
            spool.moving.carry_out([Outcome(held, place.status)])
        return bool(problem)


def has_reason(place: Place) -> bool:
    return place.status is Status.FAILED and files.exists(place.folder, reason_name(place.name))


def shown(place: Place) -> str:
    return f"{place.status}/{place.name}"


# Reasons


def find_lone_reasons(spool: Spool) -> Iterator[Problem]:
    """The reason is written a moment before the file that it is about is moved, so a new one is left alone."""
    failed = spool.folder.fds["failed"]
    names = files.names(failed)
    wanted = {reason_name(name) for name in names if is_job_name(name)}
    for name in names:
        if name.endswith(REASON) and name not in wanted and age(failed, name) > MINUTE:
            mend = partial(remove_lone_reason, failed, name)
            path = f"failed/{name}"
            yield Problem("reason without its file", path, "is left over", f"rm {shell_word(path)}", mend, "removed")


def remove_lone_reason(failed: int, name: str) -> bool:
    if name in {reason_name(other) for other in files.names(failed) if is_job_name(other)}:
        return False
    files.remove(failed, name)
    return True


# Nobody else's eyes


def find_open_files(spool: Spool) -> Iterator[Problem]:
    """Our own files are private. What somebody dropped keeps the mode that its owner gave it; claimed ones their owner's."""
    sheltered = not os.fstat(spool.folder.root).st_mode & 0o077
    for status in (Status.PENDING, *FINISHED):
        for place in spool.reading.places(status):
            seen = stat_of(place.folder, place.name)
            if seen is None or not stat.S_ISREG(seen.st_mode) or not seen.st_mode & 0o077:
                continue
            mode = f"has mode {stat.S_IMODE(seen.st_mode):04o}"
            if is_ours(place.name):
                mend = partial(make_private, place)
                yield Problem(
                    "readable by others", shown(place), mode, f"chmod 600 {shell_word(shown(place))}", mend, "chmod 600"
                )
            elif not sheltered:
                yield Problem("dropped files readable by others", shown(place), mode, "chmod 700 the queue folder")


def make_private(place: Place) -> bool:
    try:
        file = os.open(place.name, files.LOOK, dir_fd=place.folder)
    except FileNotFoundError:
        return False
    try:
        files.set_mode(file, 0o600)
    finally:
        os.close(file)
    return True


JOB_CHECKS: tuple[Callable[[Spool], Iterator[Problem]], ...] = (
    find_doubles,
    find_wrong_outcomes,
    find_lone_reasons,
    find_open_files,
)

"""A job in a box: one zip file with all there is to know of a job, to attach to an issue and open in another queue.

    job.json          the job, as its file holds it
    log.txt           what it printed and logged
    items.jsonl       what `ctx.track` recorded
    checkpoint.json   the state that it saved
    artifacts/<name>  the files that it kept
    environment.json  {format, status, made_at, python, platform, packages} of the process that made the bundle

A bundle may come from anybody: only these names are read, each up to a size, and nothing in it is run. It holds no
environment variables.
"""

from __future__ import annotations

import json
import os
import platform
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from msgspec.structs import replace

from jobqueue.errors import InvalidJob, UnreadableJob
from jobqueue.model.job import Failure, Job
from jobqueue.model.names import GIVEN_ID
from jobqueue.model.request import read_record
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.times import iso
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.private import open_private
from jobqueue.store.base import LARGEST_ARTIFACTS
from jobqueue.store.codec import decode, encode

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue
    from jobqueue.store.base import Notes

FORMAT = 1
JOB, LOG, ITEMS, CHECKPOINT, ENVIRONMENT, ARTIFACTS = (
    "job.json",
    "log.txt",
    "items.jsonl",
    "checkpoint.json",
    "environment.json",
    "artifacts/",
)
LARGEST = {JOB: 64 << 20, LOG: 64 << 20, ITEMS: 64 << 20, CHECKPOINT: 64 << 20, ENVIRONMENT: 4 << 20}
MOST_MEMBERS = 10_000
AT_ONCE = 1 << 20
IMPORTED = "bundle"
"""Who wrote the file of the job: one that says nobody did would be read as a request, without its outcome. No claim folder
has this name."""


# Into the box


def bundle(job: JobHandle[Any], path: str | os.PathLike[str]) -> Path:
    """The body of `JobHandle.bundle`. Raises `FileExistsError` rather than write over a file."""
    target, located, notes = Path(path), job.located, job.queue.store.notes
    with open_private(target) as file:
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as box:
                box.writestr(JOB, encode(replace(located.job, written_by=IMPORTED)))
                box.writestr(ENVIRONMENT, json.dumps(environment(located.status, job.queue.clock.now()), indent=2))
                fill(box, located.job, notes)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    return target


def fill(box: zipfile.ZipFile, job: Job, notes: Notes) -> None:
    """Everything beside the job that there is."""
    if log := notes.read_log(job.id)[0]:
        box.writestr(LOG, log)
    if items := notes.items(job.id):
        box.writestr(ITEMS, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items))
    if (state := notes.checkpoint(job.id)) is not None:
        box.writestr(CHECKPOINT, json.dumps(state, ensure_ascii=False))
    for name in job.artifacts:
        kept = notes.artifact_path(job.id, name)
        if os.path.isfile(kept):
            box.write(kept, ARTIFACTS + name)


def environment(status: Status, now: datetime) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "status": status.value,
        "made_at": iso(now),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {dist.name: dist.version for dist in sorted(distributions(), key=lambda dist: (dist.name or "").lower())},
    }


# Out of the box


def import_bundle(queue: Queue, path: str | os.PathLike[str]) -> JobHandle[Any]:
    """The body of `Queue.import_bundle`."""
    shown = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as box:
            return unpack(queue, Box(box))
    except InvalidJob as error:
        raise InvalidJob(f"{shown}: {error}; nothing was imported") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        raise InvalidJob(f"{shown}: not a bundle: {error}; give a file that job.bundle(...) has written") from None


def unpack(queue: Queue, box: Box) -> JobHandle[Any]:
    said = box.json(ENVIRONMENT)
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise InvalidJob(f"{ENVIRONMENT}: this is not format {FORMAT}, the one this release reads")
    job = read_record("bundle", box.json(JOB))
    job = settled(job, box.id(), said.get("status"), queue.clock.now())
    if not GIVEN_ID.fullmatch(job.id) or queue.store.where(job.id) is not None:
        job = replace(job, id=queue.making.new_id({"priority": job.priority}, queue.clock.now()))
    notes = queue.store.notes
    notes.forget(job.id)
    try:
        job = replace(job, artifacts=leave_notes(box, notes, job.id))
        return JobHandle(queue, queue.store.adopt(job, Status.FAILED if job.error is not None else Status.DONE), "created")
    except BaseException:
        notes.forget(job.id)
        raise


def settled(job: Job, id: str, status: Any, now: datetime) -> Job:
    """As a job that has finished, whatever it was: a bundle never makes a job that a worker would run by itself."""
    error = job.error
    if status not in FINISHED:
        error = Failure(reason="imported", message=f"it was {status!s:.20} when the bundle was made")
    elif status == Status.FAILED.value and error is None:
        error = Failure(reason="imported", message="it had failed, and the bundle does not say why")
    elif status == Status.DONE.value:
        error = None
    return replace(
        job, id=id, error=error, finished_at=job.finished_at or now, written_by=IMPORTED, after=(), idempotency_key=None
    )


def leave_notes(box: Box, notes: Notes, id: str) -> dict[str, Any]:
    """Puts down what stood beside the job; what the job's file says of its artifacts."""
    if log := box.read(LOG):
        output = notes.open_log(id)
        output.write(log)
        output.close()
    for line in box.read(ITEMS).splitlines():
        item = read_json(ITEMS, line)
        if isinstance(item, dict):
            notes.add_item(id, item)
    if CHECKPOINT in box.names:
        notes.set_checkpoint(id, box.json(CHECKPOINT))
    kept = {}
    with tempfile.TemporaryDirectory(prefix="jobqueue-") as folder:
        for name in box.artifacts():
            copy = box.extract(ARTIFACTS + name, Path(folder) / "artifact")
            kept[name] = notes.keep_artifact(id, copy, name)  # which refuses a name that is a path
    return kept


class Box:
    """Reads a zip file that may be anybody's: known names only, once each, and no more bytes than are allowed."""

    def __init__(self, box: zipfile.ZipFile) -> None:
        self.box = box
        self.names = box.namelist()
        self.room = LARGEST_ARTIFACTS
        if len(self.names) > MOST_MEMBERS:
            raise InvalidJob(f"{len(self.names):,} files in it, more than {MOST_MEMBERS:,}")
        for name in self.names:
            if name not in LARGEST and not name.startswith(ARTIFACTS):
                raise InvalidJob(f"{name!r:.80} does not belong into a bundle")
        twice = next((name for name, count in Counter(self.names).items() if count > 1), None)
        if twice is not None:
            raise InvalidJob(f"{twice!r:.80} is in it twice")
        for member in box.infolist():
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InvalidJob(f"{member.filename!r:.80} is packed in a way that a bundle never is")
        for name in (JOB, ENVIRONMENT):
            if name not in self.names:
                raise InvalidJob(f"not a bundle: it has no {name}")

    def artifacts(self) -> Iterator[str]:
        return (name.removeprefix(ARTIFACTS) for name in self.names if name.startswith(ARTIFACTS))

    def read(self, name: str) -> bytes:
        """Its bytes; nothing where it is not in it. The size that the file itself claims is not believed."""
        if name not in self.names:
            return b""
        with self.box.open(name) as member:
            data = member.read(LARGEST[name] + 1)
        if len(data) > LARGEST[name]:
            raise InvalidJob(f"{name}: larger than {LARGEST[name]:,} bytes")
        return data

    def json(self, name: str) -> Any:
        return read_json(name, self.read(name))

    def id(self) -> str:
        """What the job called itself: an id where it can be one."""
        said = self.json(JOB)
        return said["id"] if isinstance(said.get("id"), str) else ""

    def extract(self, name: str, target: Path) -> Path:
        """A copy of an artifact; all of them together may have so many bytes."""
        with self.box.open(name) as member, target.open("wb") as file:
            self.copy(member, file)
        return target

    def copy(self, member: IO[bytes], file: IO[bytes]) -> None:
        while block := member.read(AT_ONCE):
            self.room -= len(block)
            if self.room < 0:
                raise InvalidJob(f"the artifacts have more than {LARGEST_ARTIFACTS:,} bytes")
            file.write(block)


def read_json(name: str, data: bytes) -> Any:
    try:
        return decode(data)
    except UnreadableJob as error:
        raise InvalidJob(f"{name}: {error}") from None

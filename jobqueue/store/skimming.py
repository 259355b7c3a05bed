"""The few fields of a job that counts, tables and filters ask for, decoded at once from a file that this package wrote."""

from __future__ import annotations

import os
from operator import attrgetter
from typing import Any

import msgspec

from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.base import Digest
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.folder import Place
from jobqueue.store.intake import wrong_kind
from jobqueue.store.layout import job_id

LARGEST = 64 << 10
"""Bytes of a file that are read at once, in one call; nearly all of a larger one is a payload or a result."""
REST = [(name, msgspec.Raw, msgspec.Raw()) for name in Job.__struct_fields__ if name not in Digest.__struct_fields__]
Written: Any = msgspec.defstruct("Written", REST, bases=(Digest,), forbid_unknown_fields=True, kw_only=True, gc=False)
"""What stands in a file that we wrote; the rest is known by its names, so that words of other people are noticed."""
decoder = msgspec.json.Decoder(Written)
told = attrgetter(*(name for name in Digest.__struct_fields__ if name not in ("status", "rejected")))


def skimmed(place: Place) -> Digest | None:
    """None where that is not enough: the file is gone, large, no file, not what we write, or was rejected. A value that
    somebody has since broken in another field is not noticed; who opens the job sees it."""
    try:
        seen = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
        if wrong_kind(seen, LARGEST) is not None:
            return None
        file = files.open_to_look(place.folder, place.name)
    except OSError:
        return None
    try:
        found = decoder.decode(os.read(file, LARGEST + 1))
    except (OSError, *UNREADABLE):
        return None
    finally:
        os.close(file)
    if found.id != job_id(place.name) or found.created_at is None or not found.type or is_forged(found):
        return None
    if place.status is Status.FAILED and found.error is None:
        return None
    type, id, *rest = told(found)
    return Digest(type, id, place.status, *rest)


def is_forged(found: Digest) -> bool:
    """Whether it reports an outcome that this package did not write: such a file asks for a job, see `read_record`."""
    return found.written_by is None and bool(found.attempts or found.finished_at or found.error or found.ran)

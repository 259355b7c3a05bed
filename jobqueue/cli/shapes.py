"""The shapes of `--json`: every key is always there, times are ISO 8601 with a Z, durations are seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobqueue.cli.printing import plain

if TYPE_CHECKING:
    from jobqueue.queue.bulk import Bulk
    from jobqueue.store.base import Located

JOB_SHAPE = "id, status, type, name, payload, priority, run_after, ... (all fields of the job), owner, cancelling, rejected"
INTERNAL = ("written_by",)


def job_shape(located: Located) -> dict[str, Any]:
    """All fields of the job's file, and of its place: status, owner, whether it was asked to stop, why it was rejected."""
    fields: dict[str, Any] = plain(located.job)
    for name in INTERNAL:
        del fields[name]
    fields["name"] = located.job.title
    fields["max_attempts"] = located.job.most_attempts
    fields["error"] = plain(located.job.last_error)
    fields["ran"] = plain(located.job.last_ran)
    return {
        "id": fields.pop("id"),
        "status": located.status.value,
        **fields,
        "owner": located.owner,
        "cancelling": located.cancelling,
        "rejected": located.reason,
    }


def bulk_shape(bulk: Bulk) -> dict[str, Any]:
    return {
        "verb": bulk.verb,
        "dry_run": bulk.dry_run,
        "count": len(bulk),
        "changed": bulk.ids,
        "cancelling": bulk.cancelling,
        "refused": bulk.refused,
    }

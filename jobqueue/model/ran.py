"""What is noted of an attempt beside its outcome: the version and the code that ran, and what it was about. Pure."""

from __future__ import annotations

from jobqueue.model.job import Job, Ran
from jobqueue.model.limit import fill_key

CODE = "code:"
LONGEST_SUBJECT = 1000


def version_of(code: str) -> str:
    """The version of a handler without one: its source."""
    return CODE + code


def version_for(job: Job, version: str | None) -> str | None:
    """At which version a job runs: that of its handler; where this has none of its own, the one that the job was made with."""
    if job.pipeline_version and (version is None or version.startswith(CODE)):
        return job.pipeline_version
    return version


def ran_of(job: Job, version: str | None, code: str | None, subject: str | None, seconds: float | None = None) -> Ran:
    """`subject` is the handler's template; what it makes is cut to a length that the journal can carry."""
    about = None if subject is None else fill_key(subject, job.payload)
    about = None if about is None else about[:LONGEST_SUBJECT]
    return Ran(seconds=seconds, code=code, version=version_for(job, version), subject=about)

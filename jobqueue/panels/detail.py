"""One job, whole: what the drawer shows. `look_at` reads, `shown` makes HTML of it (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pprint import pformat
from typing import Any

from humanize import naturalsize

from jobqueue.errors import JobNotFound
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.model.status import Status
from jobqueue.model.times import short
from jobqueue.panels import wording
from jobqueue.panels.html import GAP, block, button, chip, details, joined, pretty, since, tag, text
from jobqueue.panels.panel import Told, worded
from jobqueue.panels.sections import progress_of, two_step
from jobqueue.panels.settings import developer_mode
from jobqueue.panels.trace import traceback_of
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located

TO_SAY_AGAIN = (
    *("name", "project", "batch", "run_id", "concurrency_key", "pipeline_version", "log_level"),
    *("max_attempts", "max_crashes", "timeout"),
)
"""What was asked of a job, but for its priority, tags and backoff, which are written in another way."""
LOG_LINES = 200
MOST_TEXT = 20_000
LABELS = {Status.PENDING: "pending", Status.CLAIMED: "active", Status.DONE: "done", Status.FAILED: "failed"}


@dataclass(frozen=True)
class Detail:
    """`located` is None where the job is gone (purged, say). `log` has the last lines of what it printed."""

    id: str
    now: datetime
    located: Located | None
    why: str = ""
    most_attempts: int = 0
    log: str = ""
    artifacts: dict[str, Any] = field(default_factory=dict)
    developer: bool = False


def look_at(queue: Queue, id: str) -> Detail:
    now = queue.clock.now()
    try:
        job = queue.get(id)
        log, developer = job.log(LOG_LINES), developer_mode()
        return Detail(id, now, job.located, job.why(), job.max_attempts, log, job.artifacts, developer)
    except JobNotFound as error:
        return Detail(id, now, None, worded(error))


def shown(detail: Detail, told: Told, read_only: bool, close: bool = True) -> str:
    """The drawer's inside."""
    shut = button("×", "close", look="link", title="Close (Esc)") if close else ""
    if detail.located is None:
        gone = f'<p class="jq-empty">{text(detail.why)}</p>'
        return f'<aside class="jq-job"><header><h3>{text(detail.id)}</h3>{GAP}{shut}</header>{gone}</aside>'
    located, job = detail.located, detail.located.job
    title = f"<h3>{text(job.name or job.type)}</h3>"
    parts = [
        f"<header>{title}{status_chip(located)}{GAP}{shut}</header>",
        f'<p class="jq-id"><code>{text(job.id)}</code></p>',
        f'<p class="jq-dim">{text(detail.why)}</p>',
        progress_of(job.progress, job.id) if job.progress is not None and located.status is Status.CLAIMED else "",
        "" if read_only else f'<div class="jq-acts">{actions(detail, told)}</div>',
        facts(detail),
        failure(located),
        fold("Result", pretty_short(job.result), "result", open_=True) if job.result is not None else "",
        fold("Payload", pretty_short(job.payload), "payload", open_=True),
        attempts(job, detail.now),
        log(detail),
        kept(detail),
    ]
    return f'<aside class="jq-job" aria-label="Job {text(job.id)}">{joined(parts)}</aside>'


def status_chip(located: Located) -> str:
    word = "stopping" if located.cancelling else LABELS[located.status]
    return chip(word, located.status.value, pulse=located.status is Status.CLAIMED)


def actions(detail: Detail, told: Told) -> str:
    assert detail.located is not None
    located, job = detail.located, detail.located.job
    found = []
    if located.status in (Status.DONE, Status.FAILED):
        found.append(button("Retry", "retry", look="warn", id=job.id))
        if located.reason is None:
            again = "force=True: whatever was processed before"
            found.append(button("Run again as a new job", "force", look="quiet", id=job.id, title=again))
            if detail.developer:
                verbose = f'{again}; log_level="debug": all of logging goes into its log'
                found.append(button("Run again with a verbose log", "verbose", look="quiet", id=job.id, title=verbose))
        found.append(two_step("Purge", "purge", "quiet", told, f"purge {job.id}", id=job.id))
    elif not located.cancelling:
        found.append(two_step("Cancel", "cancel", "danger", told, f"cancel {job.id}", id=job.id))
    if located.reason is None:
        found.append(tag("button", "Copy as code", type="button", class_="jq-button jq-quiet", data_copy=as_code(job)))
        found.append(button("Open as notebook", "notebook", look="quiet", id=job.id))
    return joined(found)


def as_code(job: Job) -> str:
    """The call that enqueues the same job again."""
    options = {name: getattr(job, name) for name in TO_SAY_AGAIN if getattr(job, name) is not None}
    if job.priority != 10:
        options["priority"] = job.priority
    if job.tags:
        options["tags"] = list(job.tags)
    words = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"queue.enqueue({job.type!r}, {pformat(job.payload, sort_dicts=False, width=100)}{words})"


def facts(detail: Detail) -> str:
    assert detail.located is not None
    located, job, now = detail.located, detail.located.job, detail.now
    rows = {
        "type": tag("code", text(job.type)),
        "project": text(job.project or ""),
        "batch": text(job.batch or ""),
        "tags": text(", ".join(job.tags)),
        "attempts": text(job.attempts if job.finished else f"{job.attempts} of {detail.most_attempts}"),
        "priority": text(job.priority),
        "worker": text(located.owner or job.locked_by or ""),
        "created": since(job.created_at, now),
        "due": text(wording.due_in(job.run_after, now)),
        "started": since(job.claimed_at, now),
        "finished": since(job.finished_at, now),
        "took": text(wording.duration(job).removeprefix("ran ")),
        "version": text(job.last_ran.version or job.pipeline_version or ""),
        "metrics": text(", ".join(f"{name} {value:g}" for name, value in job.metrics.items())),
    }
    if detail.developer:
        rows |= details_of(job)
    cells = joined(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows.items() if value)
    return f'<dl class="jq-facts">{cells}</dl>'


def details_of(job: Job) -> dict[str, str]:
    """How it was processed, for developers."""
    ran, error = job.last_ran, job.last_error or Failure()
    waited = None if ran.due_at is None or job.claimed_at is None else (job.claimed_at - ran.due_at).total_seconds()
    found: dict[str, object] = {
        "code": ran.code,
        "subject": ran.subject,
        "waited": waited if waited is None else short(waited),
        "run": job.run_id,
        "idempotency key": job.idempotency_key,
        "concurrency key": job.concurrency_key,
        "log level": job.log_level,
        "exit code": error.exit_code,
        "peak memory": None if error.peak_memory is None else naturalsize(error.peak_memory),
    }
    return {name: tag("code", text(value)) for name, value in found.items() if value is not None}


def failure(located: Located) -> str:
    if located.reason is not None:
        return f'<p class="jq-error">{text(located.reason)}</p>'
    job = located.job
    if job.last_error is None:
        return ""
    said = f'<p class="jq-error">{text(wording.problem_of(job.error, None) or job.last_error.message)}</p>'
    trace = traceback_of(job)
    return said + (fold("Traceback", trace, "trace", open_=True) if trace else "")


def fold(title: str, inside: str, key: str, *, open_: bool = False) -> str:
    body = f'<summary>{title}</summary><pre tabindex="0">{inside}</pre>'
    return f'<details data-key="{key}"{" open" if open_ else ""}>{body}</details>'


def pretty_short(value: Any) -> str:
    found = pretty(value)
    left = len(found) - MOST_TEXT
    return (
        found
        if left <= 0
        else f"{found[:MOST_TEXT].rsplit('&', 1)[0]}\n... {left:,} characters more: queue.get(id).record has it all"
    )


def attempts(job: Job, now: datetime) -> str:
    if not job.history:
        return ""
    lines = joined(attempt_line(attempt, now) for attempt in reversed(job.history[-20:]))
    return details(
        f"Attempts <span class='jq-badge'>{len(job.history)}</span>", f'<ol class="jq-attempts">{lines}</ol>', "attempts"
    )


def attempt_line(attempt: Attempt, now: datetime) -> str:
    look = {"done": "done", "failed": "failed", "crashed": "failed"}.get(attempt.outcome, "pending")
    ran = "" if attempt.ran is None or attempt.ran.seconds is None else short(attempt.ran.seconds)
    said = "" if attempt.error is None else wording.first_line(attempt.error.message)
    words = [
        f"#{attempt.number}",
        chip(attempt.outcome, look),
        text(ran),
        since(attempt.finished_at, now),
        text(attempt.worker or ""),
    ]
    return f"<li>{' '.join(word for word in words if word)}<div class='jq-error'>{text(said)}</div></li>"


def log(detail: Detail) -> str:
    """Its tail follows while it is scrolled to the end."""
    if not detail.log:
        return ""
    lines = f'<pre class="jq-log" data-follow="1" tabindex="0">{block(detail.log)}</pre>'
    return f'<details data-key="log" open><summary>Log</summary>{lines}</details>'


def kept(detail: Detail) -> str:
    if not detail.artifacts:
        return ""
    rows = joined(f"<li><code>{text(one['path'])}</code> {one['size']:,} bytes</li>" for one in detail.artifacts.values())
    return details(f"Artifacts <span class='jq-badge'>{len(detail.artifacts)}</span>", f"<ul>{rows}</ul>", "artifacts")

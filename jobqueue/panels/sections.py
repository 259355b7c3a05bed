"""The parts of the dashboard as HTML, from one look at the queue: pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobqueue.model.progress import Progress, in_words
from jobqueue.model.status import Status
from jobqueue.panels import wording
from jobqueue.panels.glance import Glance
from jobqueue.panels.html import GAP, bar, button, chip, details, joined, since, tag, text
from jobqueue.panels.panel import Told
from jobqueue.panels.trace import traceback_of
from jobqueue.store.base import Located

BY_CLICK = "paused in a notebook"
"""The reason of a pause that nobody has given a reason for."""
ASK_WHY = tag("input", type="text", placeholder="Say why …", aria_label="Why it is paused", data_do="pause-why", maxlength=300)
Row = Callable[[Located, int, datetime, Told, bool], str]


# -- above the sections


def head(glance: Glance | None, read_only: bool, settings: str = "") -> str:
    path = "" if glance is None else folder(glance.url)
    buttons = "" if glance is None or read_only else pause_button(glance)
    return f'<div class="jq-head"><h2>Queue Dashboard</h2>{path}{GAP}{settings}{buttons}</div>'


def folder(url: str) -> str:
    """Cut where there is no room; the whole of it under the pointer."""
    return tag("code", text(url), class_="jq-path", title=f"the folder of this queue: {url}")


def pause_button(glance: Glance) -> str:
    if glance.paused is not None:
        return button("Resume", "resume", look="go", title="Let workers take jobs again")
    return button("Pause", "pause", look="quiet", title="Workers finish what they run and take nothing new")


def banners(glance: Glance | None, told: Told, read_only: bool) -> str:
    """What keeps the queue from working, most important first; nothing where it cannot be read."""
    if glance is None or told.problem:
        return ""
    found = []
    if glance.paused is not None:
        why = "" if read_only or glance.paused.reason != BY_CLICK else ASK_WHY
        found.append(banner("pending", "Paused", glance.paused.sentence("the queue"), "Running jobs go on.", why))
    found += [
        banner(
            "pending",
            f"{type} paused",
            pause.sentence(type),
            "",
            button("Resume", "resume", look="go", type=type) if not read_only else "",
        )
        for type, pause in glance.paused_types.items()
    ]
    if not glance.workers:
        start = "" if read_only else button("Start a worker", "start-worker", look="go")
        waiting = glance.counts[Status.PENDING]
        says = f"{wording.count(waiting, 'job')} wait for one." if waiting else "Jobs will wait until one is started."
        found.append(banner("failed" if waiting else "plain", "No worker is alive", says, "", start))
    elif glance.unserved:
        says = f"No live worker takes {', '.join(glance.unserved[:5])}."
        found.append(banner("pending", "Waiting in vain", says, "Start a worker with the handlers of these types."))
    return joined(found)


def unreadable(told: Told, url: str) -> str:
    """Shown until reading works again."""
    if not told.problem:
        return ""
    return banner("failed", "Cannot read the queue", told.problem, f"Make sure the folder is there: {url}")


def banner(look: str, title: str, says: str, hint: str = "", more: str = "") -> str:
    words = f"<b>{text(title)}</b> <span>{text(says)}</span>" + (f' <span class="jq-dim">{text(hint)}</span>' if hint else "")
    return f'<div class="jq-banner jq-{look}" role="alert"><p>{words}</p>{more}</div>'


def tiles(glance: Glance | None) -> str:
    """Hidden until the counts are known."""
    if glance is None:
        return ""
    numbers = {status.value: glance.counts[status] for status in Status} | {"total": glance.total}
    notes = small_print(glance)
    cells = [
        f'<div class="jq-tile jq-{name}" data-status="{name}"><span>{label}</span><b>{numbers[name]:,}</b>'
        f"<small>{notes.get(name, '')}&nbsp;</small></div>"
        for name, label in wording.TILES
    ]
    return f'<div class="jq-tiles">{joined(cells)}</div>'


def small_print(glance: Glance) -> dict[str, str]:
    slots = sum(worker.concurrency for worker in glance.workers)
    busy = f"{wording.count(len(glance.workers), 'worker')}, {wording.count(slots, 'slot')}"
    waits = since(glance.oldest, glance.now, "oldest") if glance.oldest is not None else ""
    delayed = f"{glance.delayed:,} delayed" if glance.delayed else ""
    rates = {name: text(f"{rate:,.0f} a minute") for name, rate in glance.rates.items() if rate >= 0.5}
    return {"pending": " · ".join(filter(None, [waits, delayed])), "claimed": text(busy)} | rates


# -- the sections


def section(status: Status, glance: Glance, told: Told, read_only: bool) -> str:
    name = status.value
    rows, total = glance.lists[status], glance.counts[status]
    many = many_button(status, total, told) if total and not read_only else ""
    lines = joined(ROW[status](located, place, glance.now, told, read_only) for place, located in enumerate(rows, 1))
    body = f'<ol class="jq-rows">{lines}</ol>' if rows else f'<p class="jq-empty">{wording.EMPTY[name]}</p>'
    count = tag("span", wording.badge(len(rows), total), class_="jq-badge")
    title = f"<header><h3>{wording.TITLES[name]} {count}</h3>{GAP}{many}</header>"
    return f'<section class="jq-section jq-{name}" aria-label="{wording.TITLES[name]}">{title}{body}</section>'


def many_button(status: Status, total: int, told: Told) -> str:
    if status is Status.DONE:
        return two_step("Purge all", "purge-done", "quiet", told)
    if status is Status.FAILED:
        return two_step("Retry failed", "retry-failed", "warn", told)
    return ""


def two_step(label: str, do: str, look: str, told: Told, armed_key: str = "", **data: str) -> str:
    """A button that asks once more: its label says what the second click will do."""
    armed_key = armed_key or do
    armed = told.is_armed(armed_key)
    return button(told.label(armed_key, label), do, look="danger" if armed else look, armed=armed, **data)


def line(located: Located, words: str, buttons: str, below: str = "") -> str:
    job = located.job
    title = tag(
        "button",
        text(job.name or job.type),
        type="button",
        class_="jq-name",
        data_do="open",
        data_id=job.id,
        title=f"Open this job: {job.name or job.type}",
    )
    id = tag("code", text(job.id), class_="jq-id", title=job.id)
    return (
        f'<li class="jq-row" data-key="{text(job.id)}"><div class="jq-what">{title}{id}</div>'
        f'<div class="jq-words">{words}</div><div class="jq-acts">{buttons}</div>{below}</li>'
    )


def active_row(located: Located, place: int, now: datetime, told: Told, read_only: bool) -> str:
    job, progress = located.job, located.job.progress
    owner = chip(f"Worker: {located.owner or job.locked_by}", "claimed", pulse=True)
    words = owner + since(job.claimed_at, now, "Started")
    if located.cancelling:
        words += chip("stopping", "pending")
    stop = "" if read_only or located.cancelling else two_step("Cancel", "cancel", "quiet", told, f"cancel {job.id}", id=job.id)
    below = ""
    if progress is not None:
        below = progress_of(progress, job.id)
    return line(located, words, stop, below)


def progress_of(progress: Progress, id: str) -> str:
    drawn = bar(progress.percent / 100, f"progress of {id}")
    return f'<div class="jq-progress">{drawn}<small>{text(in_words(progress))}</small></div>'


def pending_row(located: Located, place: int, now: datetime, told: Told, read_only: bool) -> str:
    job = located.job
    words = chip(f"Position #{place}", "pending") + since(job.created_at, now, "Created")
    if waits := wording.due_in(job.run_after, now):
        words += tag("span", text(waits), class_="jq-dim")
    if job.attempts:
        words += tag("span", text(f"{wording.count(job.attempts, 'attempt')} so far"), class_="jq-dim")
    remove = "" if read_only else two_step("Remove", "cancel", "danger", told, f"cancel {job.id}", id=job.id)
    return line(located, words, remove)


def done_row(located: Located, place: int, now: datetime, told: Told, read_only: bool) -> str:
    job = located.job
    words = chip(wording.attempts(job.attempts), "done") + since(job.finished_at, now, "Finished")
    if ran := wording.duration(job):
        words += tag("span", text(ran), class_="jq-dim")
    purge = "" if read_only else two_step("Purge", "purge", "quiet", told, f"purge {job.id}", id=job.id)
    return line(located, words, purge)


def failed_row(located: Located, place: int, now: datetime, told: Told, read_only: bool) -> str:
    job = located.job
    problem = tag("span", text(wording.problem_of(job.error, located.reason)), class_="jq-error")
    words = chip(reason_of(located), "failed") + since(job.finished_at, now, "Finished")
    again = "" if read_only else button("Retry", "retry", look="warn", id=job.id)
    trace = traceback_of(job)
    below = (
        details(problem, f'<pre class="jq-trace" tabindex="0">{trace}</pre>', f"trace {job.id}")
        if trace
        else f"<p>{problem}</p>"
    )
    return line(located, words, again, f'<div class="jq-why">{below}</div>')


def reason_of(located: Located) -> str:
    if located.reason is not None:
        return "rejected"
    return "failed" if located.job.error is None else located.job.error.reason


ROW: dict[Status, Row] = {
    Status.CLAIMED: active_row,
    Status.PENDING: pending_row,
    Status.DONE: done_row,
    Status.FAILED: failed_row,
}


# -- what was said


def said(told: Told) -> str:
    """The line for what a command came to; read out by screen readers."""
    inside = ""
    if told.said is not None:
        more = button("Undo", "undo", look="link") if told.said.undo is not None else ""
        more += button("Open", "open", look="link", id=told.said.job) if told.said.job is not None else ""
        more += button("×", "dismiss", look="link", title="Dismiss")
        inside = f'<div class="jq-toast jq-say-{told.said.kind}"><span>{text(told.said.text)}</span>{more}</div>'
    return f'<div class="jq-status" role="status" aria-live="polite">{inside}</div>'

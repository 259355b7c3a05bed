"""What is wrong with a queue, in plain words: the folder, the workers, the jobs, the machine."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from jobqueue.model.status import Status
from jobqueue.model.times import short
from jobqueue.queue.findings import Findings
from jobqueue.queue.scheduling import outlook
from jobqueue.queue.why import why
from jobqueue.store.finding import Finding, Level, size, some
from jobqueue.store.reading import NOT_A_JOB
from jobqueue.store.selftest import selftest
from jobqueue.store.spool import Spool
from jobqueue.store.symptoms import SYMPTOMS

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue

START = "start one: python -m jobqueue.worker"
LONG_WAIT = timedelta(hours=1)
LOOK_AT = 500
MEMINFO = "/proc/meminfo"
CLOCK_WENT_BACK = timedelta(days=1)
MANY_FINISHED = 100_000
LITTLE_MEMORY = 256 << 20
PACKAGES = ("jobqueue", "msgspec", "filelock", "watchdog", "click", "rich", "pandas", "ipywidgets", "jupyterlab")

Looked = Iterable[Finding]


def doctor(queue: Queue) -> Findings:
    """Looks at everything and says what it found; a look that fails is a finding too."""
    store = queue.store
    findings = Findings()
    if isinstance(store, Spool):
        if store.closed:
            return Findings([Finding("fail", "queue folder", "was closed", "open the queue again")])
        findings += guarded("queue folder", lambda: selftest(store.folder))
    else:
        findings.append(Finding("ok", "store", store.url))
    for what, look_at in QUEUE_LOOKS:
        findings += guarded(what, lambda look_at=look_at: look_at(queue))  # type: ignore[misc]
    if isinstance(store, Spool):
        for what, look_into in SYMPTOMS:
            findings += guarded(what, lambda look_into=look_into: look_into(store))  # type: ignore[misc]
    for what, look_around in MACHINE_LOOKS:
        findings += guarded(what, look_around)
    return findings


def guarded(what: str, look_at: Callable[[], Looked]) -> list[Finding]:
    try:
        return list(look_at())
    except Exception as error:
        return [Finding("fail", what, f"could not be looked at: {type(error).__name__}: {error}", "see queue.check()")]


# The queue


def look_at_workers(queue: Queue) -> Looked:
    workers = queue.workers()
    if workers:
        named = [f"{worker.owner} (pid {worker.pid} on {worker.host})" for worker in workers]
        yield Finding("ok", "workers", f"{len(workers)} alive: {some(named)}")
    elif isinstance(queue.store, Spool):
        yield Finding("warn", "workers", "none is alive, so nothing runs", START)
    else:
        yield Finding("ok", "workers", "none in this process")


def look_at_types(queue: Queue) -> Looked:
    workers = queue.workers()
    pending = Counter(digest.type for digest in queue.store.digests((Status.PENDING,)) if digest.type != NOT_A_JOB)
    unserved = [type for type in sorted(pending) if not any(worker.serves(type) for worker in workers)]
    if unserved:
        found = some([f"{type!r} ({pending[type]} pending)" for type in unserved])
        fix = "start a worker with the handlers of these types: python -m jobqueue.worker --handlers handlers.py"
        yield Finding("warn", "types without a worker", found, fix)
    elif pending:
        yield Finding("ok", "types without a worker", f"none of {len(pending)} pending")


def look_at_pauses(queue: Queue) -> Looked:
    control = queue.control()
    if control.paused is not None:
        yield Finding("warn", "paused", control.paused.sentence("the queue"), "queue.resume()")
    for type, pause in sorted(control.paused_types.items()):
        yield Finding("warn", "paused", pause.sentence(f"the type {type!r}"), f"queue.resume(type={type!r})")


def look_at_budgets(queue: Queue) -> Looked:
    for spent in queue.store.spent():
        if spent.over:
            yield Finding("warn", "budgets", str(spent), f"give more, with queue.budget({spent.type!r}, ...), or wait")
        else:
            yield Finding("ok", "budgets", str(spent))


def look_at_waiting(queue: Queue) -> Looked:
    """The due jobs that have waited longest, and why they still do."""
    now = queue.clock.now()
    oldest = queue.store.scan(statuses=(Status.PENDING,), order="oldest", limit=LOOK_AT).items
    due = [located for located in oldest if located.reason is None and (located.job.run_after or now) <= now]
    waits = [(now - (located.job.run_after or located.job.created_at or now), located) for located in due]
    waits.sort(key=lambda pair: pair[0], reverse=True)
    if waits:
        found = [f"{located.job.id} ({located.job.type}) for {short(waited)}" for waited, located in waits[:3]]
        level: Level = "warn" if waits[0][0] >= LONG_WAIT else "ok"
        fix = "" if level == "ok" else why(queue.store, waits[0][1], now)
        yield Finding(level, "waiting longest", "; ".join(found), fix)


def look_at_schedules(queue: Queue) -> Looked:
    records, now = queue.store.schedules.all(), queue.clock.now()
    for file, why_not in sorted(queue.store.schedules.problems.items()):
        yield Finding("warn", "schedules", f"{file} is no schedule and is left out: {why_not}", "mend it, or remove it")
    ahead = [record.name for record in records if (record.handled or now) > now + CLOCK_WENT_BACK]
    if ahead:
        fix = "the clock was set back; make them again, or they rest until then"
        yield Finding("warn", "schedules", f"have run for times to come: {some(ahead)}", fix)
    if records:
        yield Finding("ok", "schedules", some([f"{record.name} {outlook(record, now)}" for record in records]))


def look_at_retention(queue: Queue) -> Looked:
    counts, rules = queue.store.counts(), queue.config.retention
    kept = [status for status in (Status.DONE, Status.FAILED) if status.value not in rules.rules]
    piled = [f"{counts[status]:,} {status} jobs" for status in kept if counts[status] > MANY_FINISHED]
    if piled:
        fix = "say in jobqueue.yaml how long they are kept, like retention: {done: 7d, failed: 30d}"
        yield Finding("warn", "retention", f"{some(piled)}, and no rule lets them go", fix)
    elif rules.rules:
        yield Finding("ok", "retention", str(rules))


# The machine


def available_memory() -> int | None:
    """Bytes; None where the system does not say."""
    match = re.search(r"^MemAvailable:\s*(\d+) kB", Path(MEMINFO).read_text(), re.MULTILINE)
    return None if match is None else int(match[1]) * 1024


def look_at_memory() -> Looked:
    free = available_memory()
    if free is None:
        return
    if free < LITTLE_MEMORY:
        fix = "fewer slots (--concurrency), or handlers that hold less: the kernel kills the largest process"
        yield Finding("warn", "memory", f"{size(free)} available", fix)
    else:
        yield Finding("ok", "memory", f"{size(free)} available")


def look_at_versions() -> Looked:
    yield Finding("ok", "versions", versions())


def versions() -> str:
    """Python and the packages that matter here, those that are installed."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


QUEUE_LOOKS: tuple[tuple[str, Callable[[Queue], Looked]], ...] = (
    ("workers", look_at_workers),
    ("types without a worker", look_at_types),
    ("paused", look_at_pauses),
    ("budgets", look_at_budgets),
    ("waiting longest", look_at_waiting),
    ("schedules", look_at_schedules),
    ("retention", look_at_retention),
)
MACHINE_LOOKS: tuple[tuple[str, Callable[[], Looked]], ...] = (
    ("memory", look_at_memory),
    ("versions", look_at_versions),
)

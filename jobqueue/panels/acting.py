"""What can be done to jobs from a panel: each is a command, and runs on the refresher's thread."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from jobqueue.errors import JobNotFound
from jobqueue.model.control import Control
from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.panels import detail, wording
from jobqueue.panels.detail import Detail
from jobqueue.panels.panel import Panel, Said, Told, changes
from jobqueue.panels.sections import BY_CLICK, said, unreadable
from jobqueue.panels.settings import developer_mode
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.handle import JobHandle

UNFINISHED = (Status.PENDING, Status.CLAIMED)
LONGEST_REASON = 300
MOST_AWAITED = 1000
"""Of more jobs that were queued at once nothing is said in the end: their batch shows it."""


class Acting(Panel):
    """`open_id` is the job that the drawer shows, `opened` what was seen of it; of the `awaited` ones it is said when they have
    ended. The parts `problem`, `drawer` and `status` are made here."""

    open_id: str | None = None
    opened: Detail | None = None
    awaited: Sequence[str] = ()

    def look(self) -> None:
        self.opened = None if self.open_id is None else detail.look_at(self.queue, self.open_id)
        super().look()

    def draw(self, state: Any, told: Told) -> None:
        problem = unreadable(told, self.queue.store.url)
        made = {"problem": problem, "drawer": self.drawer(told), "status": said(told)}
        self.view.update({**self.texts(state, told), **made})

    def drawer(self, told: Told) -> str:
        return "" if self.opened is None else detail.shown(self.opened, told, self.read_only)

    def do_open(self, id: str = "") -> None:
        self.open_id = id or None

    def do_close(self) -> None:
        self.open_id = None

    def queued(self, jobs: Sequence[JobHandle[Any]]) -> Said:
        """Said at once; what came of them follows."""
        self.awaited = [job.id for job in jobs] if len(jobs) <= MOST_AWAITED else ()
        what = "Processing queued." if len(jobs) == 1 else f"Processing queued: {len(jobs):,} jobs."
        return Said(what, job=jobs[0].id)

    def came_of_it(self) -> Said | None:
        if not self.awaited or any(self.queue.store.where(id) in UNFINISHED for id in self.awaited):
            return None
        found, ids, self.awaited = list[Job](), self.awaited, ()
        for id in ids:
            with suppress(JobNotFound):  # purged meanwhile
                found.append(self.queue.store.get(id).job)
        if not found:
            return None
        failed = [job for job in found if job.error is not None]
        return Said(f"{wording.ended(found)}.", "error" if failed else "ok", job=(failed or found)[0].id)

    def do_developer(self, value: bool = False) -> None:
        developer_mode(bool(value))

    # -- one job

    @changes
    def do_retry(self, id: str = "") -> Said:
        job = self.queue.get(id).retry()
        self.awaited = [job.id]
        return Said(f"{job.record.name or job.type} is queued again.", job=job.id)

    @changes
    def do_cancel(self, id: str = "") -> Said | None:
        """A job that waits, or runs: asked twice, for what it has done so far is lost."""
        running = self.queue.get(id).last_seen.owner is not None
        ask = "Stop it?" if running else "Remove it?"
        return self.confirm(f"cancel {id}", ask, lambda: self.queue.cancel([id], dry_run=True))

    @changes
    def do_purge(self, id: str = "") -> Said | None:
        return self.confirm(f"purge {id}", "Purge it?", lambda: self.queue.purge([id], dry_run=True))

    @changes
    def do_force(self, id: str = "") -> Said:
        return self.again(id)

    @changes
    def do_verbose(self, id: str = "") -> Said:
        return self.again(id, log_level="debug")

    def again(self, id: str, **options: Any) -> Said:
        """The same request as a new job, whatever was processed before."""
        old = self.queue.get(id).record
        kept = {name: getattr(old, name) for name in KEPT if getattr(old, name) is not None}
        job = self.queue.with_options(**kept | options, force=True).enqueue(old.type, old.payload)
        self.open_id = job.id
        return self.queued([job])

    @changes
    def do_notebook(self, id: str = "") -> Said:
        """A notebook about this job, in the folder of the kernel."""
        path = self.queue.get(id).to_notebook(Path.cwd() / f"{id}.ipynb")
        return Said(f"Wrote {path.name} beside this notebook: open it in the file browser.")

    # -- many

    @changes
    def do_retry_failed(self) -> Said | None:
        """All that failed, but not what somebody cancelled or what was rejected."""
        return self.confirm(
            "retry-failed", "Retry {count} failed {jobs}?", lambda: self.queue.retry(status="failed", dry_run=True)
        )

    @changes
    def do_purge_done(self) -> Said | None:
        return self.confirm("purge-done", "Purge {count} done {jobs}?", self.rehearse_purge)

    def rehearse_purge(self) -> Bulk:
        return self.queue.purge(status="done", dry_run=True)

    # -- the queue

    @changes
    def do_pause(self) -> Said:
        self.queue.pause(BY_CLICK)
        return Said("Paused: running jobs go on, nothing new starts.")

    @changes
    def do_pause_why(self, value: str = "") -> None:
        """The reason of a pause, for those who find the queue paused; who paused it, and when, stays."""
        said = str(value).strip()[:LONGEST_REASON]

        def change(control: Control) -> Control:
            paused = control.paused
            return control.with_pause(None, replace(paused, reason=said)) if paused is not None and said else control

        self.queue.store.change_control(change)

    @changes
    def do_resume(self, type: str | None = None) -> Said:
        self.queue.resume(type=type)
        return Said(f"{type} goes on." if type else "The queue goes on.")

    @changes
    def do_start_worker(self) -> Said:
        """With the handlers of jobqueue.yaml; a notebook that knows better calls `queue.ensure_worker("handlers.py")`."""
        worker = self.queue.ensure_worker()
        return Said(f"{worker.name} runs {worker.concurrency} at a time.")

    @changes
    def do_stop_worker(self, id: str = "") -> Said | None:
        """Its running jobs get their grace time, and what it cannot finish loses no attempt."""
        worker = next((one for one in self.queue.workers() if one.name == id), None)
        if worker is None:
            return Said(f"{id} has ended already.", "info")

        def stop() -> Said:
            worker.stop()
            return Said(f"{id} was asked to stop: it finishes what it runs.")

        return self.ask(f"stop {id}", "Stop it?", stop)


KEPT = (*detail.TO_SAY_AGAIN, "priority", "tags", "backoff")
"""What a new job takes over from the one that it repeats."""

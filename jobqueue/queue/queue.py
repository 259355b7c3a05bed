"""The queue: what a user says. Whatever a panel, the command line or a route can do, this object can do."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from jobqueue.errors import InvalidJob, JobNotFound
from jobqueue.model.clock import Clock, SystemClock
from jobqueue.model.control import Control
from jobqueue.model.job import Job
from jobqueue.model.request import read_options
from jobqueue.model.status import Status, parse_statuses
from jobqueue.model.times import Duration
from jobqueue.queue import frame, ruling
from jobqueue.queue.batch import Batch, find_batch, superseding
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.changing import Chosen, cancel, purge, restore, retry
from jobqueue.queue.choosing import JobLike, check_page, id_of, read_filter
from jobqueue.queue.config import Config, load_config
from jobqueue.queue.context import JobContext
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.making import Making, call_of, options_of
from jobqueue.queue.opening import MEMORY, open_store
from jobqueue.queue.page import JobPage
from jobqueue.queue.processed import processed
from jobqueue.queue.seen import WorkerHandle, Workers
from jobqueue.queue.showing import line_of_queue, mimebundle, snapshot
from jobqueue.queue.stats import Stats, stats_by, stats_of
from jobqueue.queue.unserved import Unserved
from jobqueue.queue.why import why
from jobqueue.store.base import Store

if TYPE_CHECKING:
    from jobqueue.queue.findings import Findings
    from jobqueue.queue.health import Health
    from jobqueue.queue.here import DrainCounts
    from jobqueue.queue.retaining import Retained
    from jobqueue.queue.scheduling import Schedule, Schedules
    from jobqueue.queue.starting import Source

P = ParamSpec("P")
R = TypeVar("R")


class Queue:
    """Jobs in a folder (made if it is not there), or in memory with `Queue(":memory:")`.

    Without a path: `JOBQUEUE_DIR`, then `queue_dir` in the nearest jobqueue.yaml, then `./queue_dir`.
    Raises `QueueFolderError` where the folder cannot be used, saying what to do.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Store | None = None,
        *,
        durability: str | None = None,
        clock: Clock | None = None,
        create: bool = True,
        config: Config | None = None,
    ) -> None:
        self.config = (config or load_config()).with_arguments(durability=durability)
        self.clock: Clock = clock or SystemClock()
        self.store: Store = open_store(path, self.config, self.clock, create)
        self.options: dict[str, Any] = {}
        self.making = Making(self.clock, self.store.get)
        self.unserved = Unserved(self.store)
        with nullcontext() if create else suppress(OSError):  # a queue that may only be read
            self.store.rescue()

    # -- adding

    @overload
    def enqueue(self, type: str, payload: Mapping[str, Any] | None = None, /, **options: Any) -> JobHandle[Any]: ...
    @overload
    def enqueue(
        self, handler: Callable[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobHandle[R]: ...
    @overload
    def enqueue(self, handler: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    def enqueue(self, what: Any, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Adds one job and answers at once with a handle; when this returns, the job survives a power cut.

        `enqueue("scan", {"repo": "octo/cat"}, priority="high", delay="10m")` names a type; the keywords are options.
        `enqueue(scan, repo="octo/cat")` calls for a handler: the arguments are checked against its signature, and
        options go through `with_options`. Raises `InvalidJob` (naming field and fix); nothing is stored then.
        """
        if isinstance(what, str):
            if len(args) > 1:
                raise InvalidJob("enqueue: give a type and one payload; options are keywords, like priority='high'")
            options = self.options | kwargs
            return self.put([self.making.job(what, args[0] if args else {}, options)], options)[0]
        type, payload = call_of(what, args, kwargs, importable=self.store.url != MEMORY)
        return self.put([self.making.job(type, payload, options_of(what, self.options, payload))], self.options)[0]

    @overload
    def enqueue_many(self, type: str, payloads: Iterable[Mapping[str, Any]], /, **options: Any) -> Batch[Any]: ...
    @overload
    def enqueue_many(self, handler: Callable[..., R], payloads: Iterable[Mapping[str, Any]], /, **options: Any) -> Batch[R]: ...
    def enqueue_many(
        self, what: Any, payloads: Iterable[Mapping[str, Any]], /, *, supersede: bool = False, **options: Any
    ) -> Batch[Any]:
        """Adds a job for each payload, all with the same options, as one group: far cheaper than one by one.

        All payloads are checked before the first job is stored. If the disk refuses in the middle of a large group,
        some of it may have been stored; with an idempotency key for each job, simply try again. The answer is a list of
        handles that can be asked together: `.results()`, `.as_completed()`, `.progress`. With `supersede`, what is unfinished
        of earlier jobs with the same `batch` (and project) is cancelled.
        """
        options = self.options | options
        if isinstance(what, str):
            jobs = [self.making.job(what, payload, options) for payload in payloads]
        else:
            calls = [call_of(what, (), payload, importable=self.store.url != MEMORY) for payload in payloads]
            jobs = [self.making.job(type, payload, options_of(what, options, payload)) for type, payload in calls]
        if len(jobs) > 1 and options.get("id"):
            raise InvalidJob("id: one id cannot be given to many jobs; leave it out, or enqueue them one by one")
        batches = {(job.project, job.batch) for job in jobs if job.batch is not None} if supersede else set()
        made, ended = superseding(self, batches, lambda: self.put(jobs, options)) if batches else (self.put(jobs, options), 0)
        return Batch(made, name=str(options.get("batch") or ""), superseded=ended)

    enqueue_frame = frame.enqueue_frame

    def with_options(self, **options: Any) -> Queue:
        """The same queue with options for what is enqueued through it, so that they never mix with a handler's arguments.

        `queue.with_options(delay="10m", priority="high", idempotency_key="export-7").enqueue(export, table="orders")`.
        Options: priority, delay, run_after, max_attempts, max_retries, backoff, timeout, expires_at, expires_in, after,
        on_parent_failure, idempotency_key, key_scope, force, name, project, batch, redo_of, row, run_id, tags,
        concurrency_key, on_conflict (wait, reject or supersede), pipeline_version, max_crashes, log_level, id.
        """
        read_options(options, self.clock.now())
        view = copy.copy(self)
        view.options = self.options | options
        return view

    def put(self, jobs: Sequence[Job], options: Mapping[str, Any]) -> list[JobHandle[Any]]:
        if not jobs:
            return []
        answers = self.store.put(jobs, force=bool(options.get("force")), given_ids=options.get("id") is not None)
        if self.store.url != MEMORY:
            self.unserved.warn(jobs[0].type)
        return [JobHandle(self, answer.located, answer.outcome, answer.superseded) for answer in answers]

    # -- looking

    def get(self, id: JobLike) -> JobHandle[Any]:
        """A handle on the job with this id (for a dropped file: its name, with or without `.json`); else `JobNotFound`."""
        id = id_of(id)
        try:
            return JobHandle(self, self.store.get(id))
        except JobNotFound:
            if id.endswith(".json"):
                return JobHandle(self, self.store.get(id.removesuffix(".json")))
            raise

    def __getitem__(self, id: str) -> JobHandle[Any]:
        return self.get(id)

    def _ipython_key_completions_(self) -> list[str]:
        return [job.id for job in self.jobs(limit=50)]

    def __contains__(self, id: object) -> bool:
        try:
            self.store.get(id_of(id)) if isinstance(id, (str, JobHandle)) else None
        except JobNotFound:
            return False
        return isinstance(id, (str, JobHandle))

    def __len__(self) -> int:
        return sum(self.store.counts().values())

    def __bool__(self) -> bool:
        return True

    def jobs(
        self,
        status: str | Status | Iterable[str | Status] | None = None,
        *,
        limit: int | None = 50,
        offset: int = 0,
        order: str = "urgent",
        **filters: Any,
    ) -> JobPage:
        """A page of jobs, most urgent first and then oldest; `order` may also be `newest` or `oldest`.

        Filters: type (one or several), project, batch, tag, key, text (anywhere in it), reason (of a failure), and
        since, until, older_than, which look at the last change: aware datetimes, ISO 8601, or ages such as `"24h"`.
        `limit=None` gives all. The page says how many there are in `total`.
        """
        check_page(limit, offset, order)
        where = read_filter(filters, self.clock.now())
        page = self.store.scan(statuses=parse_statuses(status), where=where, order=order, limit=limit, offset=offset)
        return JobPage((JobHandle(self, located) for located in page.items), page.total)

    def last(self, type: str | None = None) -> JobHandle[Any]:
        """The job (of a type) that was made last; `JobNotFound` where there is none."""
        located = self.store.last(type)
        if located is None:
            raise JobNotFound(f"last {type or 'job'}")
        return JobHandle(self, located)

    def stats(self, *, project: str | None = None, type: str | None = None) -> Stats:
        """Counts of the four statuses and their parts, the age of the oldest due job, and the workers."""
        return stats_of(self, project, type)

    def stats_by(self, field: str) -> dict[str, Stats]:
        """The same counts for each `"type"` or each `"project"`."""
        if field not in ("type", "project"):
            raise InvalidJob(f"stats_by: {field!r} is unknown; give 'type' or 'project'")
        return stats_by(self.store, self.clock.now(), field)

    def batch(self, name: str) -> Batch[Any]:
        """The jobs that were enqueued with `batch=name`, in the order in which they were made; else `JobNotFound`."""
        return find_batch(self, name)

    def workers(self) -> Workers:
        """The live workers, a list: those whose lock is held right now."""
        return Workers(self)

    def health(self) -> Health:
        """healthy, degraded or unhealthy, with the reasons; true where it is healthy. The rules: jobqueue/queue/health.py."""
        from jobqueue.queue.health import health

        return health(self)

    def why(self, job: JobLike) -> str:
        """One plain sentence on why a job is not running, or what became of it."""
        return why(self.store, self.get(job).located, self.clock.now())

    def position(self, job: JobLike) -> int | None:
        """Where a pending job stands in the true order of the queue, from 1; None where it is not pending."""
        return self.store.position(id_of(job))

    def doctor(self) -> Findings:
        """What is wrong with the folder, the workers, the jobs and the machine; each thing is tried on this very folder."""
        from jobqueue.queue.doctor import doctor

        return doctor(self)

    def check(self, repair: bool = False) -> Findings:
        """What in the folder breaks a rule of the queue; with `repair`, what can be mended without a loss is mended."""
        from jobqueue.queue.findings import check

        return check(self, repair)

    processed = processed

    # -- changing

    def retry(self, jobs: Chosen = None, *, dry_run: bool = False, **filters: Any) -> Bulk:
        """Runs finished jobs again: attempts go back to 0, what happened stays in the history.

        Names jobs, or filters them (`status` is failed unless given; cancelled and rejected ones are left out unless
        `include=("cancelled", "rejected")`). One job that cannot be retried raises `WrongStatus` or `JobNotFound`.
        """
        return retry(self.store, self.clock, jobs, filters, dry_run)

    def cancel(self, jobs: Chosen = None, *, dry_run: bool = False, **filters: Any) -> Bulk:
        """Ends pending jobs, and asks running ones to stop; they stay claimed until they have stopped.

        Names jobs, or filters them (`status` is pending and claimed unless given).
        """
        return cancel(self.store, self.clock, jobs, filters, dry_run)

    def purge(self, jobs: Chosen = None, *, dry_run: bool = False, **filters: Any) -> Bulk:
        """Moves finished jobs to the trash: `purge()` all done ones, or by filter (`status`, `older_than`, `type`, ...).

        Never a claimed job. `restore` brings them back for as long as the trash is kept. Metrics do not change.
        """
        return purge(self.store, self.clock, jobs, filters, dry_run)

    def delete(self, job: JobLike) -> str:
        """Moves one job to the trash and returns its id. A claimed job must be cancelled first (`WrongStatus`)."""
        id = id_of(job)
        Bulk("delete", self.store.purge([id], pending=True)).raise_if_refused()
        return id

    def restore(self, jobs: Chosen, *, dry_run: bool = False) -> Bulk:
        """Takes purged or deleted jobs out of the trash, back to where they were: the undo of `purge`."""
        return restore(self.store, jobs, dry_run)

    def trashed(self, **filters: Any) -> list[Job]:
        """The purged and deleted jobs that `restore` can bring back; the filters are those of `jobs`."""
        where = read_filter(filters, self.clock.now())
        return sorted((job for job in self.store.trashed() if where.matches(job)), key=lambda job: job.id)

    def apply_retention(self, *, dry_run: bool = False) -> Retained:
        """Moves to the trash what the `retention` rules of jobqueue.yaml let go; workers do the same every ten minutes.

        Never a pending or claimed job; `restore` brings them back for as long as the trash is kept, and metrics do not
        change. With a rule for the journal, its old files go for good, and what they tell goes out of the metrics.
        """
        from jobqueue.queue.retaining import apply_retention

        return apply_retention(self.store, self.config.retention, self.clock.now(), dry_run=dry_run)

    # -- schedules

    def schedule(
        self,
        what: str | Callable[..., Any],
        payload: Mapping[str, Any] | None = None,
        /,
        *,
        cron: str | None = None,
        every: Duration | None = None,
        timezone: Any = None,
        name: str | None = None,
        missed: str = "once",
        overlap: str = "wait",
        **options: Any,
    ) -> Schedule:
        """Workers add a job at set times: `cron="0 6 * * mon-fri"` (UTC, or `timezone="Europe/Berlin"`), or `every="15m"`.

        `name` is the type unless given; the same name again replaces the schedule (see `outcome` of the answer). Of the
        runs that were `missed` (no worker, a pause) the latest is made up `once`, late, or they are left out (`skip`).
        `overlap`: while the previous job is unfinished, `wait` for its end, `skip` the run, or `allow` it. Options are
        those of `enqueue`. Raises `InvalidJob`.
        """
        from jobqueue.queue.scheduling import schedule

        timing = {"cron": cron, "every": every, "timezone": timezone, "name": name, "missed": missed, "overlap": overlap}
        return schedule(self, what, payload, options | timing)

    def schedules(self) -> Schedules:
        """By name: `queue.schedules()["nightly"].pause()`; also `resume()`, `run()` and `remove()`."""
        from jobqueue.queue.scheduling import schedules

        return schedules(self)

    def unschedule(self, name: str) -> None:
        """Removes a schedule; the jobs that it has added stay. `ScheduleNotFound` where there is none of this name."""
        from jobqueue.queue.scheduling import unschedule

        unschedule(self, name)

    # -- telling all workers

    pause, resume, paused = ruling.pause, ruling.resume, ruling.paused
    limit, limits = ruling.limit, ruling.limits
    budget, budgets = ruling.budget, ruling.budgets

    def control(self) -> Control:
        return self.store.control()

    # -- having jobs run

    def ensure_worker(
        self,
        handlers: Source | Iterable[Source] | None = None,
        *,
        concurrency: int | None = None,
        types: Iterable[str] | None = None,
        reload: bool = False,
        wait: Duration = "10s",
    ) -> WorkerHandle:
        """A live worker that serves these handlers; where there is none, one is started, and answered when it is at work.

        `handlers` are modules, .py files or importable functions; by default those of jobqueue.yaml. The worker outlives
        this process (`worker.stop()` ends it); one that is started with `reload` starts anew when the code of its handlers
        changes. Raises `WorkerNotStarted`, with what it said, where it ends at once.
        """
        from jobqueue.queue.starting import ensure_worker

        return ensure_worker(self, handlers, concurrency=concurrency, types=types, reload=reload, wait=wait)

    def drain(self, handlers: Any = None, *, progress: bool | None = None, timeout: Duration | None = None) -> DrainCounts:
        """Runs what is due in this very process, one job after the other, and answers with counts.

        `handlers` are marked functions, modules or files; by default the marked functions of `__main__` (a notebook's
        cells) and those of jobqueue.yaml. Jobs of other types are left alone. A bar is shown (`progress`: always or
        never) when it takes longer than a second. Ctrl-C hands the running job back, its attempt uncounted.
        """
        from jobqueue.queue.here import drain

        return drain(self, handlers, progress=progress, timeout=timeout)

    def import_bundle(self, path: str | os.PathLike[str]) -> JobHandle[Any]:
        """Opens what `job.bundle(path)` wrote as a finished job of this queue, to look at, to run here or to retry.

        Where its id is taken it gets a new one. The file may be anybody's: nothing in it is run or trusted.
        """
        from jobqueue.queue.bundle import import_bundle

        return import_bundle(self, path)

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    __repr__, _repr_mimebundle_, snapshot = line_of_queue, mimebundle, snapshot

"""The queue: what a user says. Whatever a panel, the command line or a route can do, this object can do."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from msgspec.structs import replace

from jobqueue.errors import InvalidJob, JobNotFound, Unsupported
from jobqueue.model.clock import Clock, SystemClock
from jobqueue.model.control import Control, Pause
from jobqueue.model.filter import LONG_AGO
from jobqueue.model.job import Job
from jobqueue.model.request import parse_type, read_options
from jobqueue.model.status import FINISHED, Status, parse_statuses
from jobqueue.model.times import parse_moment
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.choosing import LEFT_OUT, JobLike, check_page, choose, id_of, ids_of, read_filter, rehearse
from jobqueue.queue.config import Config, load_config
from jobqueue.queue.context import JobContext
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.making import Making, call_of, options_of
from jobqueue.queue.stats import Stats, read_stats, stats_by
from jobqueue.queue.unserved import Unserved
from jobqueue.queue.why import why
from jobqueue.store.base import Change, Store, WorkerInfo
from jobqueue.store.memory import MemoryStore
from jobqueue.store.spool import Spool, me

if TYPE_CHECKING:
    from jobqueue.store.finding import Finding

P = ParamSpec("P")
R = TypeVar("R")
MEMORY = ":memory:"


class JobPage(list[JobHandle[Any]]):
    """A page of jobs: a list of handles, `len(page)` of them, out of `total` that match."""

    def __init__(self, handles: Iterable[JobHandle[Any]], total: int) -> None:
        super().__init__(handles)
        self.total = total


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
        self.store: Store = self.open(path, create)
        self.options: dict[str, Any] = {}
        self.making = Making(self.clock, self.store.get)
        self.unserved = Unserved(self.store)
        with nullcontext() if create else suppress(OSError):  # a queue that may only be read
            self.store.rescue()

    def open(self, path: str | os.PathLike[str] | Store | None, create: bool) -> Store:
        if path is None:
            path = self.config.queue_dir
        if path == MEMORY:
            return MemoryStore(self.clock)
        if not isinstance(path, (str, os.PathLike)):
            return path
        if "://" in str(path):
            raise Unsupported(f"{path}: there is no store for such an address; give a folder, or ':memory:'")
        return Spool(
            path,
            clock=self.clock,
            durability=self.config.durability,
            settle_time=self.config.settle_time,
            max_file_size=self.config.max_file_size,
            create=create,
        )

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
        return self.put([self.making.job(type, payload, options_of(what, self.options))], self.options)[0]

    @overload
    def enqueue_many(self, type: str, payloads: Iterable[Mapping[str, Any]], /, **options: Any) -> list[JobHandle[Any]]: ...
    @overload
    def enqueue_many(
        self, handler: Callable[..., R], payloads: Iterable[Mapping[str, Any]], /, **options: Any
    ) -> list[JobHandle[R]]: ...
    def enqueue_many(self, what: Any, payloads: Iterable[Mapping[str, Any]], /, **options: Any) -> list[JobHandle[Any]]:
        """Adds a job for each payload, all with the same options, as one group: far cheaper than one by one.

        All payloads are checked before the first job is stored. If the disk refuses in the middle of a large group,
        some of it may have been stored; with an idempotency key for each job, simply try again.
        """
        options = self.options | options
        if isinstance(what, str):
            jobs = [self.making.job(what, payload, options) for payload in payloads]
        else:
            options = options_of(what, options)
            calls = [call_of(what, (), payload, importable=self.store.url != MEMORY) for payload in payloads]
            jobs = [self.making.job(type, payload, options) for type, payload in calls]
        if len(jobs) > 1 and options.get("id"):
            raise InvalidJob("id: one id cannot be given to many jobs; leave it out, or enqueue them one by one")
        return self.put(jobs, options)

    def with_options(self, **options: Any) -> Queue:
        """The same queue with options for what is enqueued through it, so that they never mix with a handler's arguments.

        `queue.with_options(delay="10m", priority="high", idempotency_key="export-7").enqueue(export, table="orders")`.
        Options: priority, delay, run_after, max_attempts, max_retries, backoff, timeout, expires_at, expires_in, after,
        on_parent_failure, idempotency_key, key_scope, force, name, project, batch, redo_of, run_id, tags,
        concurrency_key, pipeline_version, id.
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
        return [JobHandle(self, answer.located, answer.outcome) for answer in answers]

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
        where = read_filter({"type": type}, self.clock.now())
        items = self.store.scan(where=where, order="oldest", limit=None).items
        if not items:
            raise JobNotFound(f"last {type or 'job'}")
        return JobHandle(self, max(items, key=lambda located: located.job.created_at or LONG_AGO))

    def stats(self, *, project: str | None = None, type: str | None = None) -> Stats:
        """Counts of the four statuses and their parts, the age of the oldest due job, and the workers."""
        return read_stats(self.store, self.clock.now(), project, type)

    def stats_by(self, field: str) -> dict[str, Stats]:
        """The same counts for each `"type"` or each `"project"`."""
        if field not in ("type", "project"):
            raise InvalidJob(f"stats_by: {field!r} is unknown; give 'type' or 'project'")
        return stats_by(self.store, self.clock.now(), field)

    def workers(self) -> list[WorkerInfo]:
        """The live workers: those whose lock is held right now."""
        return self.store.workers()

    def why(self, job: JobLike) -> str:
        """One plain sentence on why a job is not running, or what became of it."""
        return why(self.store, self.get(job).located, self.clock.now())

    def position(self, job: JobLike) -> int | None:
        """Where a pending job stands in the true order of the queue, from 1; None where it is not pending."""
        return self.store.position(id_of(job))

    def doctor(self) -> list[Finding]:
        """What is wrong with the folder, the workers, the jobs and the machine; each thing is tried on this very folder."""
        from jobqueue.queue.doctor import doctor

        return doctor(self)

    def check(self, repair: bool = False) -> list[Finding]:
        """What in the folder breaks a rule of the queue; with `repair`, what can be mended without a loss is mended."""
        from jobqueue.store.check import check

        return check(self.store, repair)

    # -- changing

    def retry(self, jobs: JobLike | Iterable[JobLike] | None = None, *, dry_run: bool = False, **filters: Any) -> Bulk:
        """Runs finished jobs again: attempts go back to 0, what happened stays in the history.

        Names jobs, or filters them (`status` is failed unless given; cancelled and rejected ones are left out unless
        `include=("cancelled", "rejected")`). One job that cannot be retried raises `WrongStatus` or `JobNotFound`.
        """
        delay = filters.pop("delay", None)
        run_after = None if delay is None else parse_moment(delay, self.clock.now(), "delay")
        included = set(filters.pop("include", ()))
        ids = choose(self.store, "retry", jobs, filters, (Status.FAILED,), included, self.clock.now())
        return self.carry_out("retry", jobs, ids, FINISHED, lambda: self.store.retry(ids, run_after=run_after), dry_run)

    def cancel(self, jobs: JobLike | Iterable[JobLike] | None = None, *, dry_run: bool = False, **filters: Any) -> Bulk:
        """Ends pending jobs, and asks running ones to stop; they stay claimed until they have stopped.

        Names jobs, or filters them (`status` is pending and claimed unless given).
        """
        unfinished = (Status.PENDING, Status.CLAIMED)
        ids = choose(self.store, "cancel", jobs, filters, unfinished, set(LEFT_OUT), self.clock.now())
        return self.carry_out("cancel", jobs, ids, unfinished, lambda: self.store.cancel(ids, f"cancelled by {me()}"), dry_run)

    def purge(self, jobs: JobLike | Iterable[JobLike] | None = None, *, dry_run: bool = False, **filters: Any) -> Bulk:
        """Moves finished jobs to the trash: `purge()` all done ones, or by filter (`status`, `older_than`, `type`, ...).

        Never a claimed job. `restore` brings them back for as long as the trash is kept. Metrics do not change.
        """
        statuses = parse_statuses(filters.get("status", "done"))
        if set(statuses) - set(FINISHED):
            raise InvalidJob("purge: only done and failed jobs can be purged; cancel the others first, or delete one by one")
        if jobs is None and not filters:
            filters = {"status": "done"}
        ids = choose(self.store, "purge", jobs, filters, statuses, set(LEFT_OUT), self.clock.now())
        where = read_filter({name: value for name, value in filters.items() if name != "status"}, self.clock.now())
        keep = None if where.empty else where
        return self.carry_out("purge", jobs, ids, FINISHED, lambda: self.store.purge(ids, where=keep), dry_run)

    def delete(self, job: JobLike) -> str:
        """Moves one job to the trash and returns its id. A claimed job must be cancelled first (`WrongStatus`)."""
        id = id_of(job)
        Bulk("delete", self.store.purge([id], pending=True)).raise_if_refused()
        return id

    def restore(self, jobs: JobLike | Iterable[JobLike] | Bulk) -> Bulk:
        """Takes purged or deleted jobs out of the trash, back to where they were: the undo of `purge`."""
        ids = jobs.ids if isinstance(jobs, Bulk) else ids_of(jobs)
        return Bulk("restore", self.store.restore(ids))

    def trashed(self, **filters: Any) -> list[Job]:
        """The purged and deleted jobs that `restore` can bring back; the filters are those of `jobs`."""
        where = read_filter(filters, self.clock.now())
        return sorted((job for job in self.store.trashed() if where.matches(job)), key=lambda job: job.id)

    def carry_out(
        self, verb: str, named: Any, ids: list[str], allowed: Sequence[Status], act: Callable[[], list[Change]], dry_run: bool
    ) -> Bulk:
        if dry_run:
            return Bulk(verb, rehearse(self.store, verb, ids, allowed), dry_run=True)
        bulk = Bulk(verb, act())
        if isinstance(named, (str, JobHandle)):
            bulk.raise_if_refused()
        return bulk

    # -- telling all workers

    def pause(self, reason: str = "", *, type: str | None = None, by: str | None = None) -> None:
        """Nothing (or nothing of one type) is claimed until `resume`; running jobs go on. It outlasts restarts."""
        pause = Pause(by=by or me(), at=self.clock.now(), reason=reason)
        self.set_pause(type, pause)

    def resume(self, *, type: str | None = None) -> None:
        """Ends the pause of the queue, or of one type; nothing happens where there is none."""
        self.set_pause(type, None)

    def set_pause(self, type: str | None, pause: Pause | None) -> None:
        def change(control: Control) -> Control:
            if type is None:
                return replace(control, paused=pause)
            others = {name: known for name, known in control.paused_types.items() if name != type}
            return replace(control, paused_types=others if pause is None else others | {parse_type(type): pause})

        self.store.change_control(change)

    @contextmanager
    def paused(self, reason: str = "", *, type: str | None = None) -> Iterator[Queue]:
        """Paused for as long as the block lasts."""
        self.pause(reason, type=type)
        try:
            yield self
        finally:
            self.resume(type=type)

    def control(self) -> Control:
        return self.store.control()

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        counts = ", ".join(f"{number} {status}" for status, number in self.store.counts().items())
        return f"<Queue {self.store.url}: {counts}>"

"""The demo: a real worker process analyses every commit of a real git repository, one job for each.

    make demo                     this repository
    make demo REPO=path           another one
    python examples/demo.py -h    what else it takes

It starts the worker itself, stops it at the end, and leaves the queue folder to be looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import datetime
from pathlib import Path

from analyse import analyse_commit, analyse_file
from demo_report import Run, print_report, surprises
from demo_screen import Look, make_console, printable, watching
from demo_work import NoHistory, Work, commits_of, library_files

from jobqueue import JobHandle, JobQueueError, Queue
from jobqueue.errors import NoWorkerWarning
from jobqueue.queue.config import load_config

HERE = Path(__file__).resolve().parent
TYPES = f"{analyse_commit.__name__},{analyse_file.__name__}"
START_WITHIN, STOP_WITHIN, MOVE_WITHIN = 30.0, 20.0, 60.0
"""Seconds that the worker has to start, to stop, and to finish one more job, before something must be wrong."""


class Unexpected(Exception):
    """The demo cannot go on; the message says why, in a sentence for the terminal."""


def demo(options: argparse.Namespace) -> list[str]:
    """Runs it, and returns what went otherwise than planned: nothing, if all is well."""
    console = make_console()
    work = find_work(options.repo, options.limit)
    folder = Path(options.queue or load_config().queue_dir)
    set_up(folder)
    batch = f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    log = folder / ".jobqueue" / "logs" / f"{batch}.log"
    console.print(printable(f"Queue {folder}, batch {batch}. {work.sentence}"), soft_wrap=True)
    with Queue(folder) as queue:
        refuse_what_would_hang(queue)
        with WorkerProcess(folder, options.concurrency, log) as worker:
            worker.wait_until_alive(queue)
            run = enqueue_all(queue, folder, work, batch, options.delay)
            watch(run, worker, console)
        run.ended = time.time()
        print_report(run, console, log)
        return surprises(run)


# -- before


def find_work(repo: Path, limit: int) -> Work:
    if not repo.is_dir():
        raise Unexpected(f"--repo {repo}: there is no such folder")
    try:
        return commits_of(repo.resolve(), limit)
    except NoHistory as reason:
        return library_files(limit, str(reason))


def set_up(folder: Path) -> None:
    """What `jobqueue init` does: make the folder, or take the right to write in it from others."""
    done = subprocess.run([sys.executable, "-m", "jobqueue", "init", str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise Unexpected(done.stderr.strip().removeprefix("error: ") or f"jobqueue init {folder} failed")


def refuse_what_would_hang(queue: Queue) -> None:
    """A paused queue runs nothing; and another worker that takes every type would fail jobs it has no handler for."""
    if (paused := queue.stats().paused) is not None:
        raise Unexpected(f"{paused}; let it go on with: jobqueue resume")
    for worker in queue.workers():
        if worker.serves_all and not {*TYPES.split(",")} <= {*(worker.types or ())}:
            raise Unexpected(f"{worker.owner} takes every type of job here, but has no handlers of the demo; stop it first")


# -- the worker


class WorkerProcess:
    """`python -m jobqueue.worker` in a process of its own, ended with SIGTERM however the block ends."""

    def __init__(self, folder: Path, concurrency: int, log: Path) -> None:
        self.log = log
        self.command = [sys.executable, "-m", "jobqueue.worker", "--queue", str(folder), "--handlers", str(HERE / "analyse.py")]
        self.command += ["--types", TYPES, "--executor", "process", "--concurrency", str(concurrency)]

    def __enter__(self) -> WorkerProcess:
        with self.log.open("ab") as log:  # in a group of its own: Ctrl-C is for the demo, which then tells the worker
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            print(f"the worker did not stop within {STOP_WITHIN:g} s and was killed; its log: {self.log}", file=sys.stderr)
        finally:
            self.process.kill()
            self.process.wait()

    def wait_until_alive(self, queue: Queue) -> None:
        deadline = time.monotonic() + START_WITHIN
        while all(worker.pid != self.process.pid for worker in queue.workers()):
            self.check()
            if time.monotonic() > deadline:
                raise Unexpected(f"the worker did not start within {START_WITHIN:g} s{self.tail()}")
            time.sleep(0.02)

    def check(self) -> None:
        code = self.process.poll()
        if code is not None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise Unexpected(f"the worker {how}, with jobs left to do{self.tail()}")

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:] or ["(nothing)"]
        return "\n".join((f"; the end of its log, {self.log}:", *(f"  {printable(line)}" for line in lines)))


# -- the jobs


def enqueue_all(queue: Queue, folder: Path, work: Work, batch: str, delay: str) -> Run:
    """One job for each piece of work. Three of them come in other ways: delayed, as a file, and urgent; one must fail."""
    ordinary, (by_hand, later, first) = (work.payloads, work.payloads[:1] * 3)
    if len(work.payloads) > 3:
        *ordinary, by_hand, later, first = work.payloads
    with_batch = queue.with_options(batch=batch)

    broken = with_batch.with_options(max_attempts=3, backoff="0.5s").enqueue(work.handler, **work.broken)
    jobs = with_batch.enqueue_many(work.handler, ordinary)
    delayed = with_batch.with_options(delay=delay).enqueue(work.handler, **later)
    dropped = drop_file(queue, folder, f"by-hand-{batch}", {"type": work.handler.__name__, "payload": by_hand})
    urgent = with_batch.with_options(priority="urgent").enqueue(work.handler, **first)

    return Run(queue, folder, batch, work, [broken, *jobs, delayed, dropped, urgent], broken, delayed, dropped, urgent)


def drop_file(queue: Queue, folder: Path, name: str, job: dict) -> JobHandle:
    """A job without this package: `cp job.json queue_dir/pending/`. The name of the file is the id of the job."""
    with tempfile.TemporaryDirectory() as elsewhere:
        file = Path(elsewhere, f"{name}.json")
        file.write_text(json.dumps(job, indent=2) + "\n")
        subprocess.run(["cp", "--", file, folder / "pending"], check=True)
    return queue.get(name)


def watch(run: Run, worker: WorkerProcess, console) -> None:
    """Shows what happens until all jobs have finished."""
    left, moved_at = -1, time.monotonic()
    with watching(console, run.total) as show:
        while not run.finished:
            look = look_at(run)
            show(look)
            if look.left != left:
                left, moved_at = look.left, time.monotonic()
            elif time.monotonic() - moved_at > MOVE_WITHIN:
                raise Unexpected(f"no job has ended for {MOVE_WITHIN:g} s. {run.unfinished()[0].why()}{worker.tail()}")
            worker.check()
            time.sleep(0.1)
        show(look_at(run))


def look_at(run: Run) -> Look:
    stats = run.queue.stats()
    counts = {"pending": stats.pending, "claimed": stats.claimed, "done": stats.done, "failed": stats.failed}
    running = run.queue.jobs("claimed", batch=run.batch, limit=8)
    return Look(len(run.unfinished()), counts, [run.work.title(job.payload) for job in running])


# -- the command


def read_options() -> argparse.Namespace:
    cpus = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path, default=HERE.parent, help="a git repository (this one)")
    parser.add_argument("--queue", metavar="PATH", help="the queue folder (JOBQUEUE_DIR, jobqueue.yaml, ./queue_dir)")
    parser.add_argument("--limit", type=int, default=500, help="at most so many commits or files (500)")
    parser.add_argument("--concurrency", type=int, default=max(2, min(4, cpus)), help="jobs at a time (2 to 4, as CPUs allow)")
    parser.add_argument("--delay", default="3s", help="how long the delayed job waits (3s)")
    options = parser.parse_args()
    if options.limit < 1 or options.concurrency < 1:
        parser.error("--limit and --concurrency need a number from 1 up")
    return options


def interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    options = read_options()
    warnings.simplefilter("ignore", NoWorkerWarning)  # the demo looks after its worker itself
    for number in (signal.SIGTERM, signal.SIGHUP):  # whoever ends the demo ends its worker too
        signal.signal(number, interrupt)
    try:
        problems = demo(options)
    except KeyboardInterrupt:
        problems = ["stopped; the worker has ended, and jobs that had not run wait in pending/: run the demo again"]
    except BrokenPipeError:  # the reader has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        problems = ["nobody reads the output any more; stopped"]
    except (Unexpected, JobQueueError) as error:
        problems = [str(error)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

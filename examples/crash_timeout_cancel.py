"""What ends a job without hurting another: a crash of its process, a timeout, and a cancel that it does not heed."""

import os
import signal
import tempfile
import time
from pathlib import Path

from jobqueue import Queue, Worker, as_completed, constant, handler


@handler(retry=constant("0.1s", attempts=5, crashes=2))
def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@handler(timeout="0.5s", retry=constant("0.1s", attempts=1))
def sleep() -> None:
    time.sleep(60)


@handler
def ignore() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("I will not stop", flush=True)
    time.sleep(60)


@handler
def neighbour() -> str:
    return "unhurt"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue(Path(folder) / "queue_dir")
        with Worker(queue, __file__, executor="process", concurrency=2, cancel_grace=0.5):
            jobs = [queue.enqueue(type) for type in ("ignore", "crash", "sleep", "neighbour")]
            while "I will not stop" not in jobs[0].log():
                time.sleep(0.05)
            print(jobs[0].cancel())
            print(f"cancelling: {jobs[0].cancelling}")  # until its process is gone
            list(as_completed(jobs, timeout="30s"))
        for job in jobs:
            print(f"{job.type}: {job.status}, {job.error.message.partition(';')[0] if job.error else job.result()}")
        print(f"crash: {jobs[1].attempts} attempts")


if __name__ == "__main__":
    main()

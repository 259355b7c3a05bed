"""A queue, a handler, a job and a worker, all in one process. Elsewhere they are usually in three."""

import tempfile
import warnings

from jobqueue import Queue, Worker, handler
from jobqueue.errors import NoWorkerWarning


@handler
def add(a: int, b: int) -> int:
    return a + b


def main() -> None:
    warnings.simplefilter("ignore", NoWorkerWarning)  # nobody serves the job yet, which enqueue() would tell us
    with tempfile.TemporaryDirectory() as folder, Queue(f"{folder}/queue_dir") as queue:
        job = queue.enqueue("add", {"a": 2, "b": 3})  # the job is a file now, and survives a power cut
        print(f"enqueued: {job.status}")

        with Worker(queue, [add]):  # in a thread of its own, for as long as the block lasts
            print(f"result: {job.result(timeout='10s')}")

        print(f"afterwards: {job.status}")
        print(f"the queue: {queue.stats()}")
        print(f"still a plain function: {add(2, 3)}")


if __name__ == "__main__":
    main()

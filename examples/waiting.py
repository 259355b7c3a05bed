"""Three ways to wait for many jobs: all results in order, each as it finishes, and `await` in an event loop."""

import asyncio
import tempfile
import time
import warnings

from jobqueue import Queue, Worker, as_completed, handler
from jobqueue.errors import JobFailed, NoWorkerWarning


@handler
def measure(seconds: float) -> str:
    if seconds < 0:
        raise ValueError("time does not run backwards")
    time.sleep(seconds)
    return f"{seconds:g} s"


async def in_an_event_loop(queue: Queue) -> None:
    first, second = queue.enqueue("measure", {"seconds": 0.02}), queue.enqueue("measure", {"seconds": 0.01})
    print("awaited:", await asyncio.gather(first, second))


def main() -> None:
    warnings.simplefilter("ignore", NoWorkerWarning)
    with tempfile.TemporaryDirectory() as folder, Queue(f"{folder}/queue_dir") as queue:
        batch = queue.enqueue_many("measure", [{"seconds": n} for n in (0.3, 0.01, -1)], max_attempts=1, batch="nightly")
        print("before:", batch.progress())

        with Worker(queue, [measure], executor="thread", concurrency=3):
            for job in as_completed(batch, timeout="30s"):
                print("finished:", job.payload["seconds"], job.status)
            asyncio.run(in_an_event_loop(queue))

        found = queue.batch("nightly")  # from any process, at any time
        print("after:", found.progress())
        *good, bad = found.results(errors="return")
        print("results:", good)
        assert isinstance(bad, JobFailed)
        print("and:", bad.message)


if __name__ == "__main__":
    main()

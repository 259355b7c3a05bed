"""A long loop that is killed half way, and goes on where it was: with progress, metrics, a log and an artifact."""

import os
import signal
import tempfile
from pathlib import Path

from jobqueue import JobContext, Queue, Worker, constant, handler

ROWS = [{"id": f"row-{number}", "text": "lorem ipsum " * number} for number in range(6)]


@handler(retry=constant("0.1s", attempts=2))
def embed(ctx: JobContext) -> dict[str, int]:
    for row in ctx.track(ROWS, key="id", message="embedding"):
        ctx.metric("tokens", len(row["text"].split()))  # summed for the attempt, and for the item
        ctx.log("%s in attempt %d", row["id"], ctx.attempt)
        if row["id"] == "row-3" and ctx.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)  # the power went, say
    report = Path(f"report-{os.getpid()}.txt")
    report.write_text("all rows")
    ctx.artifact(report, "report.txt")  # a copy goes into the queue folder
    report.unlink()
    return {"attempt": ctx.attempt}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue(Path(folder) / "queue_dir")
        with Worker(queue, __file__, executor="process"):  # its own process, so that only the job is killed
            queue.enqueue("embed").wait("30s")

        again = queue.last("embed")  # as after a restart of the kernel, or in another process
        print(f"{again.status}: {again.result()}")
        print(f"first attempt: {again.history[0].outcome}")
        for item in again.items():
            print(f"  {item['key']} by attempt {item['attempt']}, {item['metrics']['tokens']:g} tokens")
        print(f"progress: {again.progress.percent:g} % ({again.progress.done:g} of {again.progress.total:g})")
        print(f"artifacts: {list(again.artifacts)}")
        print(again.log(tail=3), end="")


if __name__ == "__main__":
    main()

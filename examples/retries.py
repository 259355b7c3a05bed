"""What happens when a handler fails: it is tried again with growing waits, unless it says that this is no use."""

from jobqueue import Discard, JobContext, JobFailed, Queue, Retry, Worker, constant, exponential, handler


@handler(retry=exponential(base="0.1s", cap="1s", attempts=4))
def flaky(ctx: JobContext) -> str:
    """Any exception means: try again, by the policy above."""
    if ctx.attempt < 3:
        raise ConnectionError(f"attempt {ctx.attempt} found nobody there")
    return f"worked at attempt {ctx.attempt}"


@handler(retry=constant("10m", attempts=2))
def rate_limited(ctx: JobContext) -> str:
    """`Retry` says when, whatever the policy says: the remote side knows best."""
    if ctx.attempt == 1:
        raise Retry("too many requests", delay="0.2s")
    return "let in"


@handler
def parse(text: str) -> int:
    """`Discard` ends the job at once: the text will not be better the next time."""
    if not text.isdigit():
        raise Discard(f"{text!r} is not a number")
    return int(text)


def main() -> None:
    with Queue(":memory:") as queue:  # in a folder it is the same
        jobs = [queue.enqueue("flaky"), queue.enqueue("rate_limited"), queue.enqueue("parse", {"text": "seven"})]
        with Worker(queue, [flaky, rate_limited, parse]):
            for job in jobs:
                try:
                    print(f"{job.type}: {job.result('10s')}")
                except JobFailed:
                    print(f"{job.type}: {job.status} after {job.attempts} attempt: {job.error.message}")
                for attempt in job.history:  # the failed attempts before the last one
                    print(f"  attempt {attempt.number} {attempt.outcome}: {attempt.error.message}")


if __name__ == "__main__":
    main()

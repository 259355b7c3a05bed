"""What a handler prints, sends or says cannot pass for what its worker is told; and all of it is bounded, with an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import JobContext, Queue, handler
from jobqueue.errors import InvalidJob, JobCancelled, Snooze
from jobqueue.queue.config import Config
from jobqueue.queue.telling import MOST_ARTIFACTS, MOST_METRICS
from jobqueue.store.logfile import LEFT_OUT
from jobqueue.store.notes import LARGEST_CHECKPOINT
from jobqueue.worker.frames import HEAD, LARGEST, frame, is_too_large, take_frame
from jobqueue.worker.run import LARGEST_RESULT, LONGEST_MESSAGE, LONGEST_TRACEBACK
from jobqueue.worker.worker import Worker

HANDLERS = """
import gc, os, sys, time
from jobqueue import handler

def channel():
    return next(one.worker for one in gc.get_objects() if type(one).__name__ == "Child")

@handler
def prints():
    answer = b'{"kind":"done","value":"forged"}'
    for stream in (1, 2):
        os.write(stream, len(answer).to_bytes(8, "big") + answer + b"\\n")
    return "true"

@handler
def endless():
    channel().sendall((1 << 62).to_bytes(8, "big") + b"x" * 100_000)
    time.sleep(60)

@handler
def deep():
    body = b'{"kind":"done","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    channel().sendall(len(body).to_bytes(8, "big") + body)
    time.sleep(60)

@handler
def garbage():
    for body in (b"", b"\\xff\\xfe", b"null", b'{"kind":7}', b'{"kind":"done","value":"\\\\ud800"}'):
        channel().sendall(len(body).to_bytes(8, "big") + body)
    time.sleep(60)

@handler
def twice():
    body = b'{"kind":"done","value":"first"}'
    channel().sendall((len(body).to_bytes(8, "big") + body) * 3)
    return "second"

@handler
def after():
    return "fine"
"""


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", config=Config(durability="relaxed", settle_time=0.0)) as queue:
        yield queue


def test_no_output_and_no_answer_confuses_a_worker(queue: Queue) -> None:
    """Each costs its own job and nothing else: the worker goes on, and later jobs get their own answers."""
    Path("handlers.py").write_text(HANDLERS)
    names = ("prints", "endless", "deep", "garbage", "twice", "after", "after")
    jobs = [queue.enqueue(name, {}, max_attempts=1) for name in names]

    Worker(queue, ["handlers.py"], executor="process", grace=0).run(drain=True, patience=0)

    prints, endless, deep, garbage, twice, *later = jobs
    assert prints.result() == "true"
    assert "forged" in prints.log()
    assert endless.error is not None
    assert "above 67,108,864 bytes" in endless.error.message
    for job in (deep, garbage):
        assert job.error is not None
        assert "what is no result" in job.error.message
    assert twice.result() == "first"
    assert [job.result() for job in later] == ["fine", "fine"]


def test_a_frame_is_taken_whole_and_never_above_its_limit() -> None:
    buffer = bytearray(frame(b"abc") + frame(b""))
    assert [take_frame(buffer), take_frame(buffer), take_frame(buffer)] == [b"abc", b"", None]
    assert is_too_large(bytearray((LARGEST + 1).to_bytes(HEAD, "big")))
    assert not is_too_large(bytearray(LARGEST.to_bytes(HEAD, "big")))
    assert not is_too_large(bytearray(b"\xff" * (HEAD - 1)))


# Bounds


def run(queue: Queue, function: Any) -> Any:
    job = queue.enqueue("told", {}, max_attempts=1)
    marked = handler(type="told")(function)
    Worker(queue, [marked]).run(drain=True, patience=0)
    return job


def assert_refused(job: Any, *words: str) -> None:
    assert job.status == "failed"
    for word in words:
        assert word in job.error.message
    assert len(job.error.message) <= LONGEST_MESSAGE


def test_a_result_has_a_limit(queue: Queue) -> None:
    assert_refused(run(queue, lambda: "x" * LARGEST_RESULT), "16,777,218 bytes", "limit of 16,777,216", "path of a file")
    assert run(queue, lambda: "x" * (LARGEST_RESULT - 2)).result() == "x" * (LARGEST_RESULT - 2)


def test_an_error_is_cut(queue: Queue) -> None:
    def fails() -> None:
        raise ValueError("x" * (1 << 20))

    job = run(queue, fails)
    assert (len(job.error.message), job.error.message[:2]) == (LONGEST_MESSAGE, "xx")
    assert len(job.error.traceback) <= LONGEST_TRACEBACK + 10


@pytest.mark.parametrize("text", ["x" * (1 << 20), "\ud800"])
def test_the_text_of_a_cancel_is_cut_and_stops_no_worker(text: str, queue: Queue) -> None:
    def stops() -> None:
        raise JobCancelled(text)

    job = run(queue, stops)
    assert (job.status, job.error.reason) == ("failed", "cancelled")
    assert 0 < len(job.error.message) <= LONGEST_MESSAGE


@pytest.mark.parametrize("until", ["\ud800", "x" * (1 << 20), float("nan"), object()])
def test_a_snooze_to_nowhere(until: Any, queue: Queue) -> None:
    def snoozes() -> None:
        raise Snooze(until)

    assert_refused(run(queue, snoozes), "snooze")


def refusal(ctx: JobContext, name: Any) -> str:
    with pytest.raises(InvalidJob) as caught:
        ctx.metric(name)
    return str(caught.value)


def test_progress_and_metrics_have_limits(queue: Queue) -> None:
    def tells(ctx: JobContext) -> str:
        ctx.progress(1, "\ud800" + "m" * 5000)
        refusals = [refusal(ctx, name) for name in ("n" * 201, "", "\ud800", 7)]
        for number in range(MOST_METRICS):
            ctx.metric(f"{number}")
        refusals.append(refusal(ctx, "one more"))
        return "; ".join(refusals)

    said = run(queue, tells).result()
    assert "has 1000 metrics already" in said
    assert "at most 200 characters" in said
    assert said.isprintable()


def test_a_checkpoint_has_a_limit(queue: Queue) -> None:
    def saves(ctx: JobContext) -> None:
        ctx.checkpoint("x" * LARGEST_CHECKPOINT)

    assert_refused(run(queue, saves), "above the limit of 16,777,216", "path of a file")


def test_the_key_of_an_item_has_a_limit(queue: Queue) -> None:
    def tracks(ctx: JobContext) -> None:
        for _ in ctx.track(["k" * 1001], key=lambda item: item):
            pass

    assert_refused(run(queue, tracks), "key: that of item 0 has 1,001 characters")


def sparse(name: str, size: int) -> Path:
    path = Path(name).absolute()
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_artifacts_have_limits(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes, all of a job together, and in number; a pipe or a device has no end."""
    monkeypatch.setattr("jobqueue.queue.telling.MOST_ARTIFACTS", 3)
    monkeypatch.setattr("jobqueue.queue.telling.LARGEST_ARTIFACTS", 1000)
    os.mkfifo("pipe")

    def keeps(ctx: JobContext) -> list[str]:
        refusals = []
        ctx.artifact(sparse("a", 600))
        for path, name in ((sparse("b", 401), "b"), ("/dev/zero", "zero"), ("pipe", "pipe"), ("a", "\udcff"), ("/", "folder")):
            with pytest.raises(InvalidJob) as caught:
                ctx.artifact(path, name)
            refusals.append(str(caught.value))
        ctx.artifact(sparse("c", 1000), "a")  # in the place of the first
        ctx.artifact(sparse("d", 0))
        ctx.artifact("d", "e")
        with pytest.raises(InvalidJob) as caught:
            ctx.artifact("d", "f")
        return [*refusals, str(caught.value)]

    said = run(queue, keeps).result()
    for text, word in zip(
        said, ("would keep more than", "no regular", "no regular", "not UTF-8", "is a folder", "already"), strict=True
    ):
        assert word in text
    assert MOST_ARTIFACTS == 1000


def test_an_artifact_above_the_limit_is_refused_before_it_is_copied(queue: Queue) -> None:
    def keeps(ctx: JobContext) -> None:
        ctx.artifact(sparse("large", (4 << 30) + 1))

    assert_refused(run(queue, keeps), "4,294,967,296 bytes", "return its path")


def test_a_log_has_a_limit_whatever_it_says(tmp_path: Path) -> None:
    """A job that prints what we write where something was left out confuses nobody but its own reader."""
    with Queue(tmp_path / "q", config=Config(durability="relaxed", max_log_size=8192)) as queue:

        def prints() -> None:
            for _ in range(50):
                print(LEFT_OUT % (10**18 - 1), "x" * 1000)

        job = run(queue, prints)
        assert job.status == "done"
        assert len(job.log(None).encode()) <= 8192 + 200
        assert isinstance(job.log(5), str)
        list(queue.store.notes.read_log(job.id, start=10**17))

"""A payload is for the handler alone: no error, log line, sentence or support file of ours copies what is in it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner

from jobqueue import Queue, handler
from jobqueue.cli import program
from jobqueue.errors import JobQueueError
from jobqueue.queue.config import Config
from jobqueue.queue.doctor import doctor
from jobqueue.store.check import check
from jobqueue.testing import drain
from jobqueue.worker.worker import Worker

SECRET = "hunter2-Zq9"
"""What must be found nowhere but in the job's own file."""


@handler
def typed(token: Literal["a", "b"], number: int = 0, when: float = 0.0) -> None: ...


@handler(concurrency_key="{token}", on_conflict="reject")
def exclusive(token: str) -> None: ...


REFUSED: dict[str, Callable[[Queue], object]] = {
    "too large": lambda queue: queue.enqueue("scan", {"token": SECRET * 200_000}),
    "not JSON beside it": lambda queue: queue.enqueue("scan", {"token": SECRET, "x": object()}),
    "in an object that is not JSON": lambda queue: queue.enqueue("scan", {"x": {SECRET.lower()}}),
    "bytes": lambda queue: queue.enqueue("scan", {"x": SECRET.encode()}),
    "no mapping": lambda queue: queue.enqueue("scan", [SECRET]),
    "a text": lambda queue: queue.enqueue("scan", SECRET),
    "half a character": lambda queue: queue.enqueue("scan", {"x": SECRET + "\ud800"}),
    "wrong type": lambda queue: queue.enqueue(typed, token="a", number=SECRET),
    "wrong choice": lambda queue: queue.enqueue(typed, token=SECRET),
    "wrong argument": lambda queue: queue.enqueue(typed, token="a", other=SECRET),
    "too many": lambda queue: queue.enqueue(typed, "a", 1, 2.0, SECRET),
    "missing": lambda queue: queue.enqueue(typed, number=SECRET),
    "a key that is no text": lambda queue: queue.enqueue("scan", {"token": SECRET}, idempotency_key=[SECRET]),
    "a group": lambda queue: queue.enqueue("scan", {"token": SECRET}, concurrency_key={"x": SECRET}),
    "a schedule": lambda queue: queue.schedule("scan", [SECRET], every="1h"),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_an_error_names_the_key_and_never_the_value(call: Callable[[Queue], object], tmp_path: Path) -> None:
    with Queue(tmp_path / "q") as queue, pytest.raises((JobQueueError, TypeError)) as caught:
        call(queue)
    assert SECRET.lower() not in chain_of(caught.value).lower()


def chain_of(error: BaseException) -> str:
    """The texts of an error, its notes, and all that it was raised from and shows."""
    text = str(error) + "".join(getattr(error, "__notes__", []))
    shown = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text + (chain_of(shown) if shown is not None else "")


BROKEN = {
    "before": b'{"type": "scan", "payload": {"token": "%s", }}',
    "inside": b'{"type": "scan", "payload": {"token": "%s',
    "no quotes": b'{"type": "scan", "payload": {"token": %s}}',
    "escape": b'{"type": "scan", "payload": {"token": "\\%s"}}',
    "unicode escape": b'{"type": "scan", "payload": {"token": "\\u%s"}}',
    "control character": b'{"type": "scan", "payload": {"token": "%s\x01"}}',
    "comment": b'{"type": "scan", // %s\n}',
    "behind": b'{"type": "scan"} %s',
    "not UTF-8": b'{"type": "scan", "payload": {"token": "%s\xff"}}',
    "twice": b'{"type": "scan", "payload": {"token": "%s", "token": "%s"}}',
    "payload": b'{"type": "scan", "payload": "%s"}',
    "payloads": b'{"type": "scan", "payload": ["%s"]}',
    "surrogate": b'{"type": "scan", "payload": {"token": "%s\\ud800"}}',
    "no type": b'{"payload": {"token": "%s"}}',
    "key": b'{"type": "scan", "idempotency_key": ["%s"]}',
    "group": b'{"type": "scan", "concurrency_key": {"x": "%s"}}',
}


@pytest.fixture
def config() -> Config:
    return Config(durability="relaxed", settle_time=0.0)


def test_no_reason_and_no_log_line_quotes_a_broken_file(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Line, column and what is wrong: a token near a mistake stays where it is. Numbers too."""
    caplog.set_level(logging.DEBUG)
    queue = Queue(tmp_path / "q", config=config)
    for name, document in BROKEN.items():
        (tmp_path / "q" / "pending" / f"{name}.json").write_bytes(document.replace(b"%s", SECRET.encode()))
    (tmp_path / "q" / "pending" / "number.json").write_bytes(b'{"type": "scan", "payload": {"pin": 48151623e999}}')
    Worker(queue, [typed]).run(drain=True, patience=1)
    failed = tmp_path / "q" / "failed"
    assert len(list(failed.glob("*.reason"))) == len(BROKEN) + 1
    shown = [caplog.text, *(file.read_text() for file in failed.glob("*.reason")), *map(str, check(queue.store))]
    shown += [*map(str, doctor(queue)), *(job.why() for job in queue.jobs()), repr(list(queue.jobs()))]
    assert SECRET not in "\n".join(shown)
    assert "48151623" not in "\n".join(shown)
    queue.close()


HANDLERS = """
import os, time
from typing import Literal
from jobqueue import handler

@handler
def dies(token): os._exit(7)

@handler(timeout=0.3)
def lingers(token): time.sleep(60)

@handler
def typed(token: Literal["a", "b"]): ...

@handler
def numbers(token: int): ...

@handler
def returns(token): return {"x": {token}}

@handler
def mismatch(token) -> int: return token

@handler
def fine(token): return {"length": len(token)}

@handler
def other(wrong): ...

@handler
def tracks(token, ctx):
    for _ in ctx.track([[token]], key=lambda item: item): pass

@handler
def counts(token, ctx): ctx.enqueue("fine", {"x": {token}})

@handler
def keeps(token, ctx): ctx.checkpoint({"x": {token}})
"""
TYPES = ("dies", "lingers", "typed", "numbers", "returns", "mismatch", "fine", "other", "tracks", "counts", "keeps", "nobody")


def test_a_worker_at_debug_level_and_all_that_it_leaves(config: Config, tmp_path: Path) -> None:
    """Crash, timeout, wrong payload, wrong result: log, arguments, environment, journal, notes, and what commands say."""
    Path("handlers.py").write_text(HANDLERS)
    folder = tmp_path / "q"
    queue = Queue(folder, config=config)
    payload = {"token": SECRET}
    for type in TYPES:
        queue.enqueue(type, {"token": SECRET}, max_attempts=1, idempotency_key=f"{type}-{SECRET}")
    (folder / "pending" / "held.json").write_text(json.dumps({"type": "fine", "payload": payload, "concurrency_key": SECRET}))
    queue.enqueue("fine", {"token": SECRET}, concurrency_key=SECRET)
    (folder / "pending" / "conflict.json").write_text(
        json.dumps({"type": "fine", "payload": payload, "concurrency_key": SECRET, "on_conflict": "reject"})
    )
    command = [
        sys.executable,
        "-m",
        "jobqueue.worker",
        "--queue",
        folder,
        "-H",
        "handlers.py",
        "--log-level",
        "debug",
        "-c",
        "2",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as worker:
        assert worker.stdout is not None
        first = worker.stdout.readline()
        seen = [about_processes(worker.pid)]
        left = (job.wait("60s") for job in queue.jobs())
        assert len(list(left)) == len(TYPES) + 3
        worker.terminate()
        seen += [first, *worker.stdout]
    seen += outside_of_jobs(folder)
    seen += [job.why() for job in queue.jobs()] + [repr(queue.jobs()), *map(str, doctor(queue)), *map(str, check(queue.store))]
    seen += [str(job.error.message) + str(job.error.traceback) for job in queue.jobs(status="failed")]  # type: ignore[union-attr]
    for words in ("list", "why conflict", "stats --by type", "doctor", "check", "health", "limits"):
        seen.append(CliRunner().invoke(program, ["-q", str(folder), *words.split()]).output)
    for text in seen:
        assert SECRET not in text
    queue.close()


def about_processes(pid: int) -> str:
    """What `ps` shows anybody of a worker and its children, and what their owner can read."""
    pids = [str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    found = ""
    for one in pids:
        with suppress(OSError):
            found += Path(f"/proc/{one}/cmdline").read_text() + Path(f"/proc/{one}/environ").read_text(errors="replace")
    return found


def outside_of_jobs(folder: Path) -> list[str]:
    """All support files but keys and limits (which are keys), and all names."""
    found = []
    for path in (folder / ".jobqueue").rglob("*"):
        found.append(str(path))
        if path.is_file() and path.parent.name not in ("keys", "limits", "trash"):
            found.append(path.read_bytes().decode("utf-8", "replace"))
    return found


def test_a_conflict_does_not_say_the_key(config: Config, tmp_path: Path) -> None:
    with Queue(tmp_path / "q", config=config) as queue, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = queue.enqueue("exclusive", {"token": SECRET}, concurrency_key=SECRET)
        second = queue.enqueue("exclusive", {"token": SECRET}, concurrency_key=SECRET, on_conflict="reject")
        third = queue.enqueue("exclusive", {"token": SECRET}, concurrency_key=SECRET)
        worker = Worker(queue, [exclusive], executor="inline")
        worker.begin()
        (claim,) = queue.store.claim(worker.owner, limit=1)
        assert third.why() == f"Not started: its concurrency key is held by {first.id}."
        assert second.conflict
        assert SECRET not in second.conflict + repr(second)
        assert claim.job.id == first.id


@pytest.mark.parametrize("words", ["enqueue scan {token", "enqueue scan [1,2] --idempotency-key x", "enqueue scan -"])
def test_a_command_does_not_quote_a_payload(words: str, tmp_path: Path) -> None:
    words = words.replace("token", json.dumps({"token": SECRET})).replace("[1,2]", json.dumps([SECRET]))
    done = CliRunner().invoke(program, ["-q", str(tmp_path / "q"), "init"])
    assert done.exit_code == 0
    first, second, *rest = words.split(" ", 2)
    document, *options = rest[0].split(" --")
    arguments = [first, second, document, *(word for option in options for word in f"--{option}".split())]
    done = CliRunner().invoke(program, ["-q", str(tmp_path / "q"), *arguments], input=f'{{"x": "{SECRET}" oops}}')
    assert done.exit_code == 1, done.output
    assert SECRET not in done.output


def test_a_traceback_holds_no_values_of_ours(config: Config, tmp_path: Path) -> None:
    """Where a handler fails in a call of ours, the lines of our source are shown, and no local variable."""

    @handler
    def asks(token: str, ctx: Any) -> None:
        ctx.metric("tokens", token)

    with Queue(tmp_path / "q", config=config) as queue:
        job = queue.enqueue("asks", {"token": "x" * 5}, max_attempts=1)
        drain(queue, [asks])
        assert job.error is not None
        assert job.error.traceback is not None
        assert "telling.py" in job.error.traceback
        assert "xxxxx" in job.error.message  # it was told as a metric, by the handler
        assert job.error.traceback.count("xxxxx") == 1  # the message, at its end
    assert os.environ.get("JOBQUEUE_DIR") is None

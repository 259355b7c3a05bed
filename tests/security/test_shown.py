"""Whatever strangers write into a job, all that shows it stays in its line and does nothing to a terminal."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from jobqueue import JobContext, Queue, handler
from jobqueue.cli import program
from jobqueue.errors import JobQueueError
from jobqueue.inert import inert, inert_lines, shell_word
from jobqueue.queue.config import Config
from jobqueue.queue.doctor import doctor
from jobqueue.store.check import check
from jobqueue.worker.worker import Worker

OURS = re.compile(r"\x1b\[(?:\d{1,2}(?:;\d{1,2})?)?m")
"""The colors that this program adds itself; no hostile value holds one."""
COMMANDS = (
    *("list", "list --json", "list --order newest", "stats", "stats --json", "stats --by type", "stats --by project --json"),
    *("workers", "workers --json", "health", "health --json", "limits", "limits --json", "schedule list"),
    *("schedule list --json", "check", "check --json", "doctor", "doctor --json", "retention", "show --last", "logs --last"),
    *("cancel --status pending --dry-run", "purge --dry-run", "retry --status failed --dry-run"),
)
OF_ONE_JOB = (
    *("show", "show --json", "why", "why --json", "logs", "logs --json", "retry --dry-run", "cancel"),
    *("delete --dry-run", "restore", "bundle", "notebook"),
)


def assert_inert(text: str, *, where: str, one_line: bool = False) -> None:
    lines = [text] if one_line else text.split("\n")
    for line in lines:
        bad = [
            char for char in line if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\u200c\u200d"
        ]
        assert not bad, f"{where}: {line!r}"
        if not where.startswith("logs"):  # what a job printed has lines; `show` indents them
            assert not line.startswith("FORGED"), f"{where}: {line!r}"


class Filled:
    """A queue with jobs in all states that say `value` wherever a job can say anything."""

    def __init__(self, folder: Path, value: str) -> None:
        self.value = value
        self.folder = folder
        self.queue = Queue(folder, config=Config(durability="relaxed", settle_time=0.0))
        self.ids = [self.enqueued(), self.failing(), self.dropped(), self.rejected()]
        self.queue.pause(value, type=value, by=value)
        self.queue.schedule(value, {value: value}, every="1h", name="hourly")
        self.run()

    def enqueued(self) -> str:
        value = self.value
        options = dict.fromkeys(("project", "batch", "run_id", "pipeline_version", "name", "concurrency_key"), value)
        job = self.queue.enqueue(value, {value: value}, tags=[value], idempotency_key=value, redo_of={value: value}, **options)
        return job.id

    def failing(self) -> str:
        return self.queue.enqueue("fails", {"text": self.value}, max_attempts=1).id

    def drop(self, stem: str, document: bytes) -> str:
        stem = stem.replace("/", "_")
        (self.folder / "pending" / f"{stem}.json").write_bytes(document)
        return stem

    def dropped(self) -> str:
        document = {"type": self.value, "payload": {self.value: [self.value]}, self.value: self.value, "project": self.value}
        return self.drop(self.value, json.dumps(document).encode())

    def rejected(self) -> str:
        twice = json.dumps(self.value).encode()
        return self.drop(self.value + "r", b'{"type": "x", %s: 1, %s: 2}' % (twice, twice))

    def run(self) -> None:
        @handler(type="fails")
        def fails(text: str, ctx: JobContext) -> None:
            ctx.log(text.replace("%", "%%"))
            ctx.progress(50, text)
            ctx.metric(text)
            Path("artifact").write_text(text)
            ctx.artifact("artifact", text)
            raise ValueError(text)

        @handler(type=self.value)
        def named(**payload: Any) -> None: ...

        worker = Worker(self.queue, [fails, named])
        worker.run(drain=True, patience=0.5)
        self.worker = Worker(self.queue, [fails, named])
        self.worker.begin()

    def close(self) -> None:
        self.worker.end()
        self.queue.close()


@pytest.fixture
def filled(tmp_path: Path, hostile: str, caplog: pytest.LogCaptureFixture) -> Iterator[Filled]:
    caplog.set_level(logging.DEBUG, "jobqueue")
    filled = Filled(tmp_path / "q", hostile)
    yield filled
    filled.close()


def test_no_surface_obeys_a_job(filled: Filled, caplog: pytest.LogCaptureFixture) -> None:
    """The commands, the objects in Python, the errors, the log of the worker, and the reason of a rejected file."""
    for command in COMMANDS:
        look(filled, command.split(" "))
    for id in filled.ids:
        for command in OF_ONE_JOB:
            first, *rest = command.split(" ")
            look(filled, [first, *rest, "--", id])
    look(filled, ["logs", "--follow", filled.ids[1]])
    for where, text in objects(filled):
        assert_inert(text, where=where, one_line=True)
    for where, text in errors(filled):
        assert_inert(text, where=where, one_line=True)
    records = [*caplog.get_records("setup"), *caplog.records]
    assert records
    for record in records:
        if record.name != "jobqueue.job":  # that one is the handler's
            assert_inert(record.getMessage(), where=record.name, one_line=True)
    reasons = list((filled.folder / "failed").glob("*.reason"))
    assert len(reasons) == 1
    assert_inert(reasons[0].read_text(), where="reason")


def look(filled: Filled, words: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(program, ["--queue", str(filled.folder), *words], color=True)
    assert isinstance(done.exception, (SystemExit, type(None))), (words, done.exception)
    assert done.exit_code != 2, (words, done.output)
    assert_inert(OURS.sub("", done.stdout), where=" ".join(words))
    assert_inert(OURS.sub("", done.stderr), where=" ".join(words))


def objects(filled: Filled) -> Iterator[tuple[str, str]]:
    queue = filled.queue
    for id in filled.ids:
        with suppress(JobQueueError):
            job = queue.get(id)
            yield "job", repr(job)
            yield "why", job.why()
            yield "located", repr(job.located)
    yield "queue", repr(queue)
    yield "jobs", repr(list(queue.jobs()))
    yield "workers", repr(queue.workers())
    yield "stats", str(queue.stats())
    yield "schedules", repr(queue.schedules())
    yield "batch", repr(queue.batch(filled.value))
    yield "bulk", str(queue.cancel([*filled.ids[2:], filled.value]))
    yield from (("health", reason) for reason in str(queue.health()).split("\n"))
    yield from (("doctor", str(finding)) for finding in doctor(queue))
    yield from (("check", str(finding)) for finding in check(queue.store))


def errors(filled: Filled) -> Iterator[tuple[str, str]]:
    queue, value = filled.queue, filled.value
    waiting = filled.drop(value + "w", b'{"type": "nobody"}')
    calls = {
        "get": lambda: queue.get(value + "?"),
        "enqueue id": lambda: queue.enqueue("scan", {}, id=value + "\x00"),
        "option": lambda: queue.enqueue("scan", {}, **{value: 1}),
        "payload": lambda: queue.enqueue("scan", {value: {value: object()}}),
        "keys": lambda: queue.enqueue("scan", {value: {1: 2}}),
        "after": lambda: queue.enqueue("scan", {}, after=[value + "?"]),
        "time": lambda: queue.enqueue("scan", {}, run_after=value),
        "priority": lambda: queue.enqueue("scan", {}, priority=value),
        "timeout": lambda: queue.enqueue("scan", {}, timeout=value),
        "status": lambda: list(queue.jobs(status=value)),
        "retry": lambda: queue.retry(waiting),
        "result": lambda: queue.get(filled.ids[1]).result(),
        "wait": lambda: queue.get(waiting).wait(0),
        "schedule": lambda: queue.schedules()[value + "?"],
        "unschedule": lambda: queue.unschedule(value + "?"),
        "bundle": lambda: queue.import_bundle(value),
        "limit": lambda: queue.limit(value, rate=value),
    }
    for where, call in calls.items():
        try:
            call()
        except (JobQueueError, KeyError, OSError, TypeError) as error:
            raised: BaseException = error
        else:
            pytest.fail(f"{where}: no error")
        if isinstance(raised, JobQueueError):
            yield where, str(raised).replace("\n", " ") if where == "result" else str(raised)


def test_a_command_to_paste_is_the_name_and_nothing_else(hostile: str, tmp_path: Path) -> None:
    """Each shell hands over exactly the bytes of the name, and runs none of it."""
    name = hostile.replace("/", "_") + ".json"
    for shell in ("sh", "bash"):
        done = subprocess.run([shell, "-c", f"printf %s {shell_word(name)}"], capture_output=True, cwd=tmp_path, check=True)
        assert os.fsdecode(done.stdout) == name
    assert shell_word(name).isprintable()
    assert os.listdir(tmp_path) == ["here"]


def test_inert_text_is_left_as_it_is() -> None:
    for text in ("plain", "größer – 大きい", "क्‍ष", "👩‍💻", "a\\b", "50 %", ""):
        assert inert(text) == text
    assert inert("a\tb\nc\x1b\x9b\u202e\udcff\ud800\U000e0041") == r"a\tb\nc\x1b\x9b\u202e\xff\ud800\U000e0041"
    assert inert_lines("a\tb\nc\x1b\r") == "a\tb\nc\\x1b\\r"

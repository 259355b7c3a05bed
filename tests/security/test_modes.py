"""Payloads are private: every file and folder is its owner's alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobqueue import JobContext, Queue, handler
from jobqueue.queue.config import Config
from jobqueue.worker.worker import Worker

HANDLERS = """
from jobqueue import handler
@handler
def idle(): ...
"""


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=["000", "022", "077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@handler
def busy(ctx: JobContext) -> dict[str, str]:
    print("printed")
    ctx.log("logged")
    ctx.progress(50, "half")
    ctx.checkpoint({"a": 1})
    list(ctx.track([1, 2]))
    Path("kept").write_text("x")
    ctx.artifact("kept")
    if ctx.attempt == 1:
        raise ValueError("again")
    return {"x": "y"}


def test_all_that_is_made_is_private(umask: None, tmp_path: Path) -> None:
    """Jobs, logs, notes, keys, limits, journal, locks, the reserve, output of a detached worker, and in between too."""
    config = Config(durability="relaxed", settle_time=0.0)
    queue = Queue(tmp_path / "deep" / "er" / "q", config=config)
    folder = queue.store.folder.path
    job = queue.enqueue("busy", {}, idempotency_key="k", concurrency_key="c", backoff=0, max_attempts=2)
    queue.enqueue("busy", {}, after=[job.id], concurrency_key="c")
    cancelled = queue.enqueue("busy", {})
    cancelled.cancel()
    cancelled.delete()
    queue.schedule("busy", cron="0 0 1 1 *")
    queue.pause(type="other")
    queue.limit("busy", rate="100/s")
    (folder / "pending" / "bad.json").write_text("{")
    os.chmod(folder / "pending" / "bad.json", 0o600)
    worker = Worker(queue, [busy])
    worker.begin()
    assert_private(folder)
    worker.run(drain=True, patience=0.5)
    (Path.cwd() / "handlers.py").write_text(HANDLERS)
    queue.ensure_worker("handlers.py", types=["idle"]).stop(wait="30s")
    assert queue.stats().done >= 1
    assert_private(folder)
    for parent in (tmp_path / "deep", tmp_path / "deep" / "er"):
        assert not stat.S_IMODE(parent.stat().st_mode) & 0o022, "others could put another queue in its place"
    for path in (job.bundle(tmp_path / "b.zip"), job.to_notebook(tmp_path / "n.ipynb")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, "it holds the payload"
    other = Queue(tmp_path / "other", config=config)
    other.import_bundle(tmp_path / "b.zip")
    assert_private(other.store.folder.path)
    other.close()
    queue.close()


def assert_private(folder: Path) -> None:
    found = {}
    inside = (Path(parent, name) for parent, folders, files in os.walk(folder) for name in (*folders, *files))
    for path in (folder, *inside):
        with suppress(FileNotFoundError):  # a worker ends meanwhile
            found[str(path.relative_to(folder))] = path.lstat().st_mode
    wrong = {name: oct(mode) for name, mode in found.items() if stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600)}
    assert wrong == {}
    assert len(found) > 25

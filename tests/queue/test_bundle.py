"""A job in a box: what goes in comes out, and nothing else."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue import JobContext, Queue, handler
from jobqueue.errors import InvalidJob, JobFailed, JobNotFound
from jobqueue.queue import bundle as bundles
from jobqueue.testing import drain


@handler
def report(path: str, fail: bool, ctx: JobContext) -> str:
    print("reading")
    for _ in ctx.track([1, 2], name="rows"):
        pass
    ctx.checkpoint({"row": 2})
    Path(path).write_text("a,b")
    ctx.artifact(path)
    if fail:
        raise ValueError("no luck")
    return "written"


@pytest.fixture(params=["folder", "memory"])
def queue(tmp_path: Path, request: pytest.FixtureRequest) -> Queue:
    return Queue(tmp_path / "q" if request.param == "folder" else ":memory:", durability="relaxed")


@pytest.fixture
def other(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "other", durability="relaxed")


def finished(queue: Queue, tmp_path: Path, *, fail: bool) -> Any:
    payload = {"path": str(tmp_path / "table.csv"), "fail": fail}
    job = queue.enqueue("report", payload, max_attempts=1, tags=["x"], idempotency_key="k", project="p")
    drain(queue, [report])
    return job


@pytest.mark.parametrize("fail", [False, True])
def test_a_job_opens_in_another_queue_with_all_it_left(queue: Queue, other: Queue, tmp_path: Path, fail: bool) -> None:
    job = finished(queue, tmp_path, fail=fail)
    path = job.bundle(tmp_path / "job.zip")

    opened = other.import_bundle(path)

    assert (opened.id, opened.status, opened.created) == (job.id, "failed" if fail else "done", True)
    for field in ("type", "payload", "tags", "project", "history", "attempts", "error", "created_at", "finished_at"):
        assert getattr(opened, field) == getattr(job, field), field
    assert opened.log() == job.log()
    assert "reading" in opened.log()
    assert opened.items() == job.items()
    kept = opened.artifacts["table.csv"]
    assert Path(kept["path"]).read_text() == "a,b"
    assert str(tmp_path / "other") in kept["path"]
    if fail:
        with pytest.raises(JobFailed, match="no luck"):
            opened.result()
        assert other.store.notes.checkpoint(job.id) == queue.store.notes.checkpoint(job.id)
        opened.retry()
        assert opened.status == "pending"
    else:
        assert opened.result() == "written"
    assert [found.level for found in other.check()] == ["ok"]
    assert other.enqueue("report", idempotency_key="k").created


def test_an_imported_job_survives_a_restart(other: Queue, tmp_path: Path) -> None:
    other.import_bundle(finished(Queue(":memory:"), tmp_path, fail=True).bundle(tmp_path / "job.zip"))
    with Queue(tmp_path / "other") as again:
        job = again.last("report")
        assert (job.status, job.error.message) == ("failed", "no luck")


def test_a_job_whose_id_is_taken_gets_a_new_one(queue: Queue, tmp_path: Path) -> None:
    job = finished(queue, tmp_path, fail=True)
    copy = queue.import_bundle(job.bundle(tmp_path / "job.zip"))
    assert copy.id != job.id
    assert (copy.error, copy.log(), len(queue.jobs("failed"))) == (job.error, job.log(), 2)


def test_a_job_that_had_not_finished_is_never_run_by_itself(queue: Queue, other: Queue, tmp_path: Path) -> None:
    job = queue.enqueue("report", {"path": "x", "fail": False})
    opened = other.import_bundle(job.bundle(tmp_path / "job.zip"))
    assert (opened.status, opened.error.reason) == ("failed", "imported")
    assert opened.error.message == "it was pending when the bundle was made"
    assert opened.payload == job.payload


def test_a_bundle_is_not_written_over_a_file(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "job.zip").write_text("mine")
    job = queue.enqueue("report")
    with pytest.raises(FileExistsError):
        job.bundle(tmp_path / "job.zip")
    assert (tmp_path / "job.zip").read_text() == "mine"
    job.delete()
    with pytest.raises(JobNotFound):
        job.bundle(tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


def test_the_environment_is_told_without_secrets(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t")
    with zipfile.ZipFile(queue.enqueue("report").bundle(tmp_path / "job.zip")) as box:
        said = json.loads(box.read("environment.json"))
        assert all(b"s3cr3t" not in box.read(name) for name in box.namelist())
    assert sorted(said) == ["format", "made_at", "packages", "platform", "python", "status"]
    assert "msgspec" in said["packages"]


# Boxes of strangers

JOB = {"id": "mine", "type": "scan", "payload": {"n": 1}, "written_by": "w"}
SAID = {"format": 1, "status": "failed"}


@pytest.fixture
def box(tmp_path: Path) -> Callable[..., Path]:
    def make(job: Any = JOB, said: Any = SAID, **more: str) -> Path:
        with zipfile.ZipFile(tmp_path / "strange.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in {"job.json": job, "environment.json": said}.items():
                if content is not None:
                    file.writestr(name, content if isinstance(content, str) else json.dumps(content))
            for name, text in more.items():
                file.writestr(name, text)
        return tmp_path / "strange.zip"

    return make


def refused(other: Queue, path: Path) -> str:
    with pytest.raises(InvalidJob, match="strange.zip: ") as caught:
        other.import_bundle(path)
    assert len(other) == 0
    return str(caught.value)


def test_a_plain_box_is_taken(other: Queue, box: Callable[..., Path]) -> None:
    job = other.import_bundle(box())
    assert (job.id, job.status, job.payload) == ("mine", "failed", {"n": 1})
    assert job.error.message == "it had failed, and the bundle does not say why"


@pytest.mark.parametrize("id", ["../../x", "a/b", ".hidden", "", "x" * 300, 7, None, "a\n"])
def test_an_id_that_could_be_a_path_is_replaced(other: Queue, box: Callable[..., Path], id: Any, tmp_path: Path) -> None:
    job = other.import_bundle(box({**JOB, "id": id}))
    assert job.id != id
    assert other.get(job.id).status == "failed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "strange.zip"]


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "job.py", "artifacts", "logs/x"])
def test_a_name_that_does_not_belong_is_refused(other: Queue, box: Callable[..., Path], name: str) -> None:
    assert "does not belong into a bundle" in refused(other, box(**{name: "x"}))


@pytest.mark.parametrize("name", ["artifacts/../evil", "artifacts//etc/evil", "artifacts/.x", "artifacts/"])
def test_an_artifact_that_is_a_path_is_refused(other: Queue, box: Callable[..., Path], name: str, tmp_path: Path) -> None:
    assert "is not a plain file name" in refused(other, box(**{name: "x"}))
    assert [found.level for found in other.check()] == ["ok"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "strange.zip"]


def test_a_bomb_is_refused(other: Queue, box: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bundles.LARGEST, "log.txt", 1000)
    assert "log.txt: larger than 1,000 bytes" in refused(other, box(**{"log.txt": "x" * 1001}))
    monkeypatch.setattr(bundles, "LARGEST_ARTIFACTS", 1000)
    assert "the artifacts have more than 1,000 bytes" in refused(
        other, box(**{"artifacts/a": "x" * 600, "artifacts/b": "x" * 600})
    )
    monkeypatch.setattr(bundles, "MOST_MEMBERS", 3)
    assert "4 files in it" in refused(other, box(**{"artifacts/a": "x", "artifacts/b": "x"}))


@pytest.mark.parametrize(
    ("job", "said", "says"),
    [
        (None, SAID, "it has no job.json"),
        (JOB, None, "it has no environment.json"),
        (JOB, {"format": 2}, "this is not format 1"),
        (JOB, "[]", "this is not format 1"),
        ("{", SAID, "job.json: line 1, column 2: not JSON"),
        ("[]", SAID, "not a JSON object"),
        ({"type": 7}, SAID, "type"),
        ('{"type": "scan", "payload": {"a": NaN}}', SAID, "NaN is not JSON"),
    ],
)
def test_what_is_no_bundle_is_refused(other: Queue, box: Callable[..., Path], job: Any, said: Any, says: str) -> None:
    assert says in refused(other, box(job, said))


def test_a_file_that_is_no_zip_is_refused(other: Queue, tmp_path: Path) -> None:
    (tmp_path / "strange.zip").write_bytes(b"PK\x03\x04 no zip at all")
    assert "not a bundle: File is not a zip file" in refused(other, tmp_path / "strange.zip")
    with pytest.raises(FileNotFoundError):
        other.import_bundle(tmp_path / "none.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_in_it_twice_is_refused(other: Queue, box: Callable[..., Path], tmp_path: Path) -> None:
    path = box()
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("job.json", json.dumps(JOB))
    assert "is in it twice" in refused(other, path)

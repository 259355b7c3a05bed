"""Files of frames, read back by the programs that people use."""

from __future__ import annotations

import csv
import gzip
import json
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobqueue import JobContext, Queue, Worker, analytics, handler
from jobqueue.analytics import export as exported
from jobqueue.errors import InvalidJob

warnings.simplefilter("ignore")
HOSTILE = 'a "quoted", ü\n=1+1\t\x1b[31m'


@handler(subject="name")
def scan(name: str, ctx: JobContext) -> None:
    ctx.metric("tokens", 2.5)


@handler
def fails() -> None:
    raise ValueError(HOSTILE)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", durability="relaxed") as made:
        made.enqueue("scan", {"name": HOSTILE}, project="p", tags=["t", "u"])
        made.enqueue("fails", max_attempts=1)
        Worker(made, [scan, fails]).run(drain=True)
        yield made


def table(path: Path) -> list[dict[str, str]]:
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    return list(csv.DictReader(text.splitlines(keepends=True)))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "CSV"])
def test_csv(queue: Queue, tmp_path: Path, ending: str) -> None:
    frame = analytics.attempts(queue)
    rows = table(analytics.export(queue, tmp_path / f"a.{ending}"))
    assert [row["type"] for row in rows] == ["scan", "fails"]
    first, second = rows
    assert first["finished_at"] == f"{frame['finished_at'][0]:%Y-%m-%dT%H:%M:%S.%f}Z"
    assert float(first["run_ms"]) == frame["run"][0] / pd.Timedelta(milliseconds=1)
    assert (first["subject"], second["error"]) == (HOSTILE, HOSTILE)
    assert (first["metrics.tokens"], second["metrics.tokens"], first["exit_code"], first["clock_jump"]) == (
        "2.5",
        "",
        "",
        "false",
    )
    assert "run" not in first


@pytest.mark.parametrize("what", ["attempts", "items", "events", "jobs"])
def test_parquet_is_the_frame(queue: Queue, tmp_path: Path, what: str) -> None:
    frame = getattr(analytics, what)(queue)
    read = pd.read_parquet(analytics.export(frame, tmp_path / "a.parquet"))
    for name in ("jobs", "tags"):
        if name in frame:
            assert [as_list(value) for value in read[name]] == [as_list(value) for value in frame[name]]
            read, frame = read.drop(columns=name), frame.drop(columns=name)
    for name in frame.columns[frame.isna().all()]:
        assert read[name].isna().all()
        read[name] = read[name].astype(frame[name].dtype)
    pd.testing.assert_frame_equal(read, frame, check_categorical=False)


def as_list(value: Any) -> list[Any] | None:
    return None if value is None else list(value)


def test_lists_are_json_in_csv(queue: Queue, tmp_path: Path) -> None:
    opened = analytics.jobs(queue, payload=True)  # the journal knows no tags
    jobs = table(analytics.export(opened.drop(columns="payload"), tmp_path / "j.csv"))
    assert sorted(json.loads(row["tags"]) for row in jobs) == [[], ["t", "u"]]
    events = table(analytics.export(analytics.events(queue), tmp_path / "e.csv"))
    assert all(len(json.loads(row["jobs"])) == 1 for row in events)


def test_metrics_and_errors_can_be_exported_too(queue: Queue, tmp_path: Path) -> None:
    rows = table(analytics.export(analytics.metrics(queue, by="type"), tmp_path / "m.csv"))
    assert [(row["type"], row["completed"]) for row in rows] == [("fails", "0"), ("scan", "1")]
    hours = table(analytics.export(analytics.metrics(queue, timezone="Europe/Berlin").frame, tmp_path / "h.csv"))
    assert len(hours) == 24
    assert hours[0]["start"].endswith(":00:00.000000Z")
    groups = table(analytics.export(analytics.errors(queue), tmp_path / "e.csv"))
    assert json.loads(groups[0]["types"]) == ["fails"]


def test_files_with_and_without_values_have_the_same_types(queue: Queue, tmp_path: Path) -> None:
    for what in ("attempts", "items", "events", "jobs"):
        full = getattr(analytics, what)(queue)
        some, none = (
            pq.read_schema(analytics.export(frame, tmp_path / f"{what}{len(frame)}.parquet", overwrite=True))
            for frame in (full, full.iloc[:0].astype({name: "category" for name in full if full[name].dtype == "category"}))
        )
        kinds = [{name: kind_of(schema, name) for name in schema.names} for schema in (some, none)]
        assert kinds[0] == kinds[1]


def kind_of(schema: pa.Schema, name: str) -> str:
    kind = schema.field(name).type
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind).replace("large_", "")


def test_nothing_has_its_columns_too(tmp_path: Path) -> None:
    with Queue(tmp_path / "q") as queue:
        for what in ("attempts", "items", "events", "jobs"):
            frame = getattr(analytics, what)(queue)
            assert pq.read_table(analytics.export(frame, tmp_path / f"{what}.parquet")).column_names == list(frame.columns)
            assert table(analytics.export(frame, tmp_path / f"{what}.csv")) == []


def test_any_other_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": [1, "x", None, {"k": [1]}, ["y", 2]], "run": pd.to_timedelta([1, 2, None, 4, 5], unit="ms"), "run_ms": 7}
    )
    rows = table(analytics.export(frame, tmp_path / "a.csv"))
    assert [row["a"] for row in rows] == ["1", "x", "", '{"k": [1]}', '["y", 2]']
    assert [row["run_ms"] for row in rows] == ["1", "2", "", "4", "5"]
    assert [row["run_ms_"] for row in rows] == ["7"] * 5


def test_a_file_that_is_there_is_kept(queue: Queue, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("mine")
    with pytest.raises(FileExistsError, match=r"choose another name, or overwrite=True"):
        analytics.export(queue, target)
    with pytest.raises(FileExistsError):
        analytics.export([1], target)  # before anything is looked at
    assert target.read_text() == "mine"
    assert analytics.export(queue, target, overwrite=True) == target
    assert len(table(target)) == 2


def test_one_that_appears_meanwhile_is_kept_too(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.csv"
    for link in (os.link, refuses_links):
        target.unlink(missing_ok=True)
        monkeypatch.setattr(os, "link", link)

        def meanwhile(file: object) -> None:
            target.write_text("mine")

        with pytest.raises(FileExistsError):
            exported_module().publish(target, meanwhile, overwrite=False)
        assert target.read_text() == "mine"
        target.unlink()
        exported_module().publish(target, lambda file: None, overwrite=False)
        assert target.read_bytes() == b""
        assert [path.name for path in tmp_path.iterdir() if path.name != "q"] == ["a.csv"]


def refuses_links(*names: object, **options: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def exported_module() -> object:
    import sys

    assert callable(exported)
    return sys.modules["jobqueue.analytics.export"]


def test_a_link_is_no_way_to_another_file(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        analytics.export(queue, tmp_path / "a.csv")
    analytics.export(queue, tmp_path / "a.csv", overwrite=True)
    assert not (tmp_path / "a.csv").is_symlink()
    assert not (tmp_path / "elsewhere").exists()


def test_only_the_owner_may_read_it(queue: Queue, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        target = analytics.export(queue, tmp_path / "a.parquet")
    finally:
        os.umask(old)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_failure_leaves_nothing(queue: Queue, tmp_path: Path) -> None:
    class Broken(Exception):
        pass

    def write(file: object) -> None:
        raise Broken

    with pytest.raises(Broken):
        exported_module().publish(tmp_path / "a.csv", write, overwrite=True)  # type: ignore[attr-defined]
    with pytest.raises(FileNotFoundError):
        analytics.export(queue, tmp_path / "missing" / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["q"]


@pytest.mark.parametrize("name", ["a", "a.json", "a.gz", "a.parquet.gz", "csv", ".parquetx"])
def test_an_unknown_ending(queue: Queue, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidJob, match=r"use .parquet, .csv or .csv.gz"):
        analytics.export(queue, tmp_path / name)


def test_what_is_no_frame(tmp_path: Path) -> None:
    with pytest.raises(InvalidJob, match="list is neither a queue nor a frame"):
        analytics.export([1], tmp_path / "a.csv")

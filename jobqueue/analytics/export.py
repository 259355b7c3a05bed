"""A frame as a file that other programs read: Parquet, or CSV."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from jobqueue.analytics.frames import attempts
from jobqueue.analytics.schema import EVENTS, JOBS
from jobqueue.errors import InvalidJob
from jobqueue.queue.private import open_private
from jobqueue.queue.queue import Queue

LISTS = frozenset(name for schema in (EVENTS, JOBS) for name, dtype in schema.items() if dtype == "object")
Path_ = str | os.PathLike[str]
ISO = "%Y-%m-%dT%H:%M:%SZ"
"""pyarrow writes the fraction of the second with %S."""


def export(what: Queue | pd.DataFrame | Any, path: Path_, *, overwrite: bool = False) -> Path:
    """Writes a frame, or all attempts of a queue, and answers with the path; what kind of file is told by its ending.

    `.parquet` keeps the types of the columns. `.csv` and `.csv.gz` are for anything else: times are ISO 8601 in UTC, durations
    milliseconds in columns named `*_ms`, lists are JSON, and what is missing is empty. The file is complete or not there, only
    its owner may read it, and one that is there is replaced only with `overwrite=True` (else `FileExistsError`).
    """
    target, write = check_target(path, overwrite)
    frame = (
        attempts(what) if isinstance(what, Queue) else what if isinstance(what, pd.DataFrame) else getattr(what, "frame", None)
    )
    if not isinstance(frame, pd.DataFrame):
        raise InvalidJob(f"export: {type(what).__name__} is neither a queue nor a frame; give one of them")
    table = table_of(frame)
    publish(target, lambda file: write(table, file), overwrite)
    return target


def check_target(path: Path_, overwrite: bool) -> tuple[Path, Callable[[pa.Table, IO[bytes]], None]]:
    """Where the file will be, and how it is written; before anything is read, what cannot be is refused."""
    target = Path(os.fspath(path)).expanduser()
    write = writer_of(target)
    if not overwrite and os.path.lexists(target):
        raise already(target)
    return target, write


def writer_of(target: Path) -> Callable[[pa.Table, IO[bytes]], None]:
    name = target.name.lower()
    if name.endswith(".parquet"):
        return write_parquet
    if name.endswith(".csv"):
        return write_csv
    if name.endswith(".csv.gz"):
        return write_csv_gz
    raise InvalidJob(f"export: {target.name!r:.80} has no ending that says what to write; use .parquet, .csv or .csv.gz")


def already(target: Path) -> FileExistsError:
    return FileExistsError(17, "it is there already; choose another name, or overwrite=True", str(target))


def publish(target: Path, write: Callable[[IO[bytes]], None], overwrite: bool) -> None:
    """Writes a temporary file beside the target and puts it there in one step. A link never takes the place of a file."""
    temporary = target.with_name(f".{target.name[:100]}.{uuid4().hex[:8]}.tmp")
    try:
        with open_private(temporary) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, target)
        else:
            put_new(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def put_new(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise already(target) from None
    except OSError:  # a file system without links: the name is taken first, which only one can do, and then filled
        try:
            open_private(target).close()
        except FileExistsError:
            raise already(target) from None
        os.replace(temporary, target)


# The table


def table_of(frame: pd.DataFrame) -> pa.Table:
    """An index that has a name is a column, too. Columns have the same types whatever is in them, or nothing: so the files of
    many days can be read together."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.rename(columns=str)
    names = [str(name) for name in frame.columns]
    lists = {name: frame[name] for name in names if is_object(frame[name]) and holds_lists(name, frame[name])}
    plain = {name: texts_of(frame[name]) for name in names if name not in lists and changes(frame[name])}
    table = pa.Table.from_pandas(frame.assign(**dict.fromkeys(lists, None), **plain), preserve_index=False)
    for name, column in lists.items():
        values = [None if is_missing(value) else list(value) for value in column]
        texts: Any = pa.array(values, pa.list_(pa.string()))
        table = table.set_column(table.column_names.index(name), name, texts)
    return table


def is_object(column: pd.Series) -> bool:
    return pd.api.types.is_object_dtype(column.dtype)


def holds_lists(name: str, column: pd.Series) -> bool:
    """Lists of texts stay lists; of an empty column its name says it."""
    known = [value for value in column if not is_missing(value)]
    return all(is_words(value) for value in known) if known else name in LISTS


def changes(column: pd.Series) -> bool:
    return is_object(column) or (isinstance(column.dtype, pd.CategoricalDtype) and column.cat.categories.empty)


def texts_of(column: pd.Series) -> pd.Series:
    """What objects hold becomes text, JSON where it is none; a category without values is one of texts."""
    if is_object(column):
        return pd.Series([text_of(value) for value in column], index=column.index, dtype="str")
    return column.cat.set_categories(pd.Index([], dtype="str"))


def is_words(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def text_of(value: Any) -> str | None:
    if is_missing(value) or isinstance(value, str):
        return None if is_missing(value) else value
    return json.dumps(value, ensure_ascii=False, default=str)


def write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    pq.write_table(table, file, compression="zstd")


def write_csv(table: pa.Table, file: IO[bytes]) -> None:
    columns = [plain_column(name, table[name]) for name in table.column_names]
    arrow_csv.write_csv(pa.table([array for _, array in columns], names=unique(name for name, _ in columns)), file)


def write_csv_gz(table: pa.Table, file: IO[bytes]) -> None:
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        write_csv(table, packed)  # type: ignore[arg-type]


def plain_column(name: str, column: Any) -> tuple[str, Any]:
    """A column as CSV can hold it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_duration(kind):
        microseconds = column.cast(pa.duration("us")).cast(pa.int64())
        return f"{name}_ms", pc.divide(microseconds.cast(pa.float64()), 1000.0)
    if pa.types.is_timestamp(kind):
        in_utc = column.cast(pa.timestamp("us", tz="UTC"))
        return name, pc.strftime(in_utc, format=ISO)
    if pa.types.is_list(kind):
        texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()]
        return name, pa.chunked_array([pa.array(texts, pa.string())])
    return name, column


def unique(names: Iterable[str]) -> list[str]:
    """`run_ms` may be the name of a metric already."""
    found: list[str] = []
    for name in names:
        while name in found:
            name += "_"
        found.append(name)
    return found

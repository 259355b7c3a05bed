"""DuckDB as a library: SQL over Arrow tables in memory. It opens no file, loads no extension and touches no network."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
    "preserve_insertion_order": "true",
    "arrow_large_buffer_size": "true",
    "threads": "1",
}
"""One thread: who has much to ask does so from several, and what lies between the questions runs beside each other too."""


class Engine:
    """Rows come out in the order in which they went in. Any thread may ask."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.start()

    def start(self) -> None:
        self.process = os.getpid()
        self.database = duckdb.connect(":memory:", config=SETTINGS)
        self.database.execute("set global TimeZone = 'UTC'")
        self.database.execute("set lock_configuration = true")
        self.local = threading.local()

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        connection = self.connection()
        for name, table in tables.items():
            connection.register(name, table)
        try:
            return connection.sql(sql).to_arrow_table()
        finally:
            for name in tables:
                connection.unregister(name)

    def connection(self) -> duckdb.DuckDBPyConnection:
        """One for each thread. A forked child opens the whole anew: the locks in there are as its parent's left them."""
        with self.lock:
            if self.process != os.getpid():
                self.start()
            if not hasattr(self.local, "connection"):
                self.local.connection = self.database.cursor()
        connection: duckdb.DuckDBPyConnection = self.local.connection
        return connection


class Plain:
    """How many ask for malloc just now, and what Arrow had before the first of them."""

    lock = threading.Lock()
    asking = 0
    before: pa.MemoryPool

    @classmethod
    def forked(cls) -> None:
        """In a child nobody asks: the threads that did are its parent's, and one of them may have held the lock."""
        cls.lock = threading.Lock()
        if cls.asking:
            cls.asking = 0
            pa.set_memory_pool(cls.before)


os.register_at_fork(after_in_child=Plain.forked)


@contextmanager
def plain_memory() -> Iterator[None]:
    """Arrow takes its memory from malloc meanwhile, in all threads. Its own allocator gives pages back at once, and to have
    them anew takes longer than what is done with them."""
    with Plain.lock:
        if Plain.asking == 0:
            Plain.before = pa.default_memory_pool()
            pa.set_memory_pool(pa.system_memory_pool())
        Plain.asking += 1
    try:
        yield
    finally:
        with Plain.lock:
            Plain.asking -= 1
            if Plain.asking == 0:
                pa.set_memory_pool(Plain.before)

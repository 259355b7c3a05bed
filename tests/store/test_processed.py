"""Which items are done: always what the journal says, after a purge, a crash, packing and retention; read once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jobqueue.model.entry import ItemEntry
from jobqueue.store import processed as module
from jobqueue.store.commit import Scratch
from jobqueue.store.journal import Journal
from jobqueue.store.keeping import Keeping
from jobqueue.store.processed import Processed

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def item(key: str, version: str = "v1", type: str = "cards", track: str = "items", at: datetime = NOW) -> ItemEntry:
    return ItemEntry(what="item", job="j", type=type, track=track, key=key, version=version, at=at)


class Bench:
    def __init__(self, path: Path) -> None:
        self.paths = {name: path / name for name in ("journal", "processed", "tmp")}
        for folder in self.paths.values():
            folder.mkdir()
        self.fds = {name: os.open(folder, os.O_RDONLY) for name, folder in self.paths.items()}
        self.journal = Journal(self.fds["journal"])

    def fill(self, *items: ItemEntry, at: datetime = NOW) -> None:
        self.journal.append(items, at)

    def fresh(self) -> Processed:
        """As another process has it."""
        return Processed(self.fds["processed"], Journal(self.fds["journal"]))

    def keys(self, version: str = "v1", type: str = "cards", track: str = "items") -> set[str]:
        return set(self.fresh().keys(type, version, track))

    def book(self) -> Path:
        (path,) = self.paths["processed"].iterdir()
        return path

    def keep(self, days: int, age: float | None = None) -> None:
        self.journal.close()
        list(Keeping(self.journal, Scratch(self.fds["tmp"], False)).keep(NOW + timedelta(days=days), age))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()
    for fd in made.fds.values():
        os.close(fd)


def test_each_type_version_and_loop_has_its_own(bench: Bench) -> None:
    bench.fill(item("a"), item("b", "v2"), item("c", type="mails"), item("d", track="others"))
    assert bench.keys() == {"a"}
    assert bench.keys("v2") == {"b"}
    assert bench.keys(type="mails") == {"c"}
    assert bench.keys(track="others") == {"d"}
    assert bench.keys("v3") == set()


def test_what_has_come_since_is_found_and_nothing_is_read_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = bench.fresh()
    bench.fill(item("a"))
    assert reader.keys("cards", "v1", "items") == bench.keys() == {"a"}
    read: list[int] = []
    items_in = module.items_in
    monkeypatch.setattr(module, "items_in", lambda lines: read.append(lines.count(b"\n")) or items_in(lines))
    bench.fill(item("b"), item("c"))

    assert reader.keys("cards", "v1", "items") == bench.keys() == {"a", "b", "c"}
    assert reader.keys("cards", "v1", "items") == {"a", "b", "c"}
    assert read in ([1], [2])  # the two new lines, by one of the two


def test_without_the_small_file_it_is_made_anew(bench: Bench) -> None:
    bench.fill(item("a"))
    bench.keys()
    bench.book().unlink()
    assert bench.keys() == {"a"}


@pytest.mark.parametrize("damage", ["cut", "NULs", "a lost line", "other text", "a folder", "a link"])
def test_a_damaged_small_file_changes_no_answer(bench: Bench, damage: str) -> None:
    for key in "abc":
        bench.fill(item(key))
        bench.keys()
    path = bench.book()
    lines = path.read_bytes().splitlines(keepends=True)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    elif damage == "NULs":
        path.write_bytes(lines[0] + lines[1] + bytes(len(lines[2])) + lines[3])
    elif damage == "a lost line":
        path.write_bytes(lines[0] + lines[1] + lines[3])
    elif damage == "other text":
        path.write_bytes(b"[]\n7\nhello\n" + path.read_bytes())
    else:
        path.unlink()
        path.mkdir() if damage == "a folder" else path.symlink_to("/dev/full")

    assert bench.keys() == {"a", "b", "c"}
    bench.fill(item("d"))
    assert bench.keys() == {"a", "b", "c", "d"}


def test_packing_changes_nothing_and_retention_forgets(bench: Bench) -> None:
    bench.fill(item("old"))
    bench.fill(item("new"), at=NOW + timedelta(days=10))
    reader = bench.fresh()
    assert reader.keys("cards", "v1", "items") == {"old", "new"}

    bench.keep(days=10)
    assert [path.suffix for path in sorted(bench.paths["journal"].iterdir())] == [".gz", ".jsonl"]
    assert reader.keys("cards", "v1", "items") == bench.keys() == {"old", "new"}
    bench.book().unlink()
    assert reader.keys("cards", "v1", "items") == bench.keys() == {"old", "new"}

    bench.keep(days=10, age=5 * 86400)
    assert reader.keys("cards", "v1", "items") == bench.keys() == {"new"}


def test_a_file_that_is_another_one_than_it_was_is_read_anew(bench: Bench) -> None:
    bench.fill(item("a"), item("b"))
    assert bench.keys() == {"a", "b"}
    bench.journal.close()
    for path in bench.paths["journal"].iterdir():
        path.unlink()
    bench.fill(item("c"))
    assert bench.keys() == {"c"}


def test_a_torn_line_is_read_when_it_is_whole(bench: Bench) -> None:
    bench.fill(item("a"), item("b"))
    bench.journal.close()
    (path,) = bench.paths["journal"].iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert bench.keys() == {"a"}
    path.write_bytes(whole)
    assert bench.keys() == {"a", "b"}


def test_a_lot_of_items(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever falls on the edge of what is read at once; and in lines of a size that is known."""
    monkeypatch.setattr(module, "AT_ONCE", 1000)
    monkeypatch.setattr(module, "MOST_IN_LINE", 50)
    keys = {f"sha-{number}" for number in range(3000)}
    bench.fill(*(item(key) for key in sorted(keys)))
    assert bench.keys() == keys
    assert bench.keys() == keys
    assert max(map(len, bench.book().read_bytes().splitlines())) < 2000

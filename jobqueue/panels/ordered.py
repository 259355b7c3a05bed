"""Ids in an order that is kept while single ones come, go and change: a hundred thousand are not sorted for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

from sortedcontainers import SortedKeyList


class Ordered(Sequence[str]):
    """`key` must give the same for an id from `add` to `remove`."""

    def __init__(self, ids: Iterable[str] = (), key: Callable[[str], Any] = str, descending: bool = False) -> None:
        self.ids = SortedKeyList(ids, key=key)
        self.descending = descending

    def add(self, id: str) -> None:
        self.ids.add(id)

    def remove(self, id: str) -> None:
        self.ids.remove(id)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return reversed(self.ids) if self.descending else iter(self.ids)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, int):
            return str(self.ids[-1 - place] if self.descending else self.ids[place])
        start, stop, step = place.indices(len(self))
        if not self.descending:
            return list(self.ids[start:stop:step])
        places = range(start, stop, step)
        return [self.ids[-1 - one] for one in places]

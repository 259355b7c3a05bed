"""How many jobs there are, live: the tiles of the dashboard, and what keeps the queue from working."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jobqueue.panels import sections, static
from jobqueue.panels.acting import Acting
from jobqueue.panels.glance import Glance, Glancing
from jobqueue.panels.panel import Told
from jobqueue.panels.plain import plain
from jobqueue.queue.queue import Queue


class StatsPanel(Acting):
    name: ClassVar[str] = "stats"
    parts: ClassVar[tuple[str, ...]] = ("problem", "banners", "tiles", "drawer", "status")

    def __init__(self, queue: Queue, **options: Any) -> None:
        self.glancing = Glancing(queue)
        super().__init__(queue, **options)

    def read(self) -> Glance:
        return self.glancing.look()

    def texts(self, state: Glance | None, told: Told) -> Mapping[str, str]:
        return {"banners": sections.banners(state, told, self.read_only), "tiles": sections.tiles(state)}

    def still(self) -> str:
        if self.state is None:
            return super().still()
        return (
            plain([self.view.problem, self.view.banners])
            + static.counts(self.state)
            + static.taken(self.state.now, self.state.url)
        )

    def fileno(self) -> int | None:
        return self.glancing.census.fileno()

    def let_go(self) -> None:
        self.glancing.close()


def stats(queue: Queue, *, every: float | None = 2.0, read_only: bool = False) -> StatsPanel:
    """How many jobs there are in each status, how fast they come and go, and how old the oldest one is, live."""
    return StatsPanel(queue, every=every, read_only=read_only)

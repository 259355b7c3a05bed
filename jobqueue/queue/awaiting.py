"""Waiting in an event loop: one poller for each loop looks for all that wait there; no thread, and nothing is blocked.

A module of its own, because asyncio takes longer to import than all the rest of a queue.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import AbstractEventLoop, Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jobqueue.model.status import FINISHED
from jobqueue.queue.waiting import FIRST, SHARE, Pace, has_ended

if TYPE_CHECKING:
    from jobqueue.queue.handle import JobHandle
    from jobqueue.store.base import Located

SLICE = 100
"""Jobs that are looked at before the event loop has its turn: well below a millisecond."""


class Poller:
    """Looks on behalf of everybody who awaits a job in one event loop. It runs in that loop, and only while it is needed."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: dict[JobHandle[Any], list[Future[None]]] = {}
        self.joined = asyncio.Event()
        self.pace = Pace()
        self.task = loop.create_task(self.run(), name="jobqueue-waiting")

    def add(self, job: JobHandle[Any]) -> Future[None]:
        future = self.loop.create_future()
        self.waiting.setdefault(job, []).append(future)
        self.joined.set()
        return future

    def leave(self, job: JobHandle[Any], future: Future[None]) -> None:
        """Somebody waits no longer; when nobody does, neither does this."""
        futures = self.waiting.get(job, [])
        if future in futures:
            futures.remove(future)
        if not futures:
            self.waiting.pop(job, None)
        if not self.waiting and not self.task.done():
            self.sign_off()
            self.task.cancel()

    def sign_off(self) -> None:
        """From here on, who begins to wait needs another poller."""
        if pollers.get(self.loop) is self:
            del pollers[self.loop]

    async def run(self) -> None:
        try:
            while True:
                self.joined.clear()
                cost, news = await self.look()
                if not self.waiting:
                    return
                await self.rest(cost, news)
        finally:
            self.sign_off()
            for future in [future for futures in self.waiting.values() for future in futures]:
                future.cancel()  # the loop is being shut down: nobody shall wait for ever

    async def look(self) -> tuple[float, bool]:
        """Looks at all, a slice at a time; how many seconds that took, and whether something had ended."""
        jobs, cost, news = list(self.waiting), 0.0, False
        for start in range(0, len(jobs), SLICE):
            started = time.monotonic()
            for job in jobs[start : start + SLICE]:
                news = self.look_at(job) or news
            cost += time.monotonic() - started
            if start + SLICE < len(jobs):
                await asyncio.sleep(0)
        return cost, news

    def look_at(self, job: JobHandle[Any]) -> bool:
        """Lets those go who wait for this job, if it has ended, or cannot be looked at: they will find that for themselves."""
        with suppress(Exception):
            if not has_ended(job):
                return False
        for future in self.waiting.pop(job, ()):
            if not future.done():
                future.set_result(None)
        return True

    async def rest(self, cost: float, news: bool) -> None:
        """As long as the look has earned at least; beyond that it ends as soon as somebody else begins to wait."""
        rest, least = self.pace.after(cost, news), max(FIRST, SHARE * cost)
        await asyncio.sleep(least)
        if rest > least:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.joined.wait(), rest - least)
        if self.joined.is_set():
            self.pace = Pace()


pollers: dict[AbstractEventLoop, Poller] = {}


async def wait_in_loop(job: JobHandle[Any]) -> Located:
    """The same as `wait`, without blocking the event loop; to give it a timeout, use `asyncio.timeout`."""
    loop = asyncio.get_running_loop()
    while True:
        if not has_ended(job):
            if (poller := pollers.get(loop)) is None:
                poller = pollers[loop] = Poller(loop)
            future = poller.add(job)
            try:
                await future
            finally:
                poller.leave(job, future)
        if (located := job.located).status in FINISHED:
            return located

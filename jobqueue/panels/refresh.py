"""The one thread of a kernel that looks and acts for all its panels: file events wake it, and a clock.

A widget's callback runs on the kernel's own thread, so it does no more than hand a command over to this one. The thread
lives as long as there is a panel.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from jobqueue.inert import inert_logger

log = inert_logger("jobqueue")
SHORTEST = 0.5
"""Seconds between two refreshes of a panel, however much happens."""


class Refreshed(Protocol):
    """What the refresher knows of a panel. `every` is in seconds, None where it refreshes on events and commands alone."""

    every: float | None

    @property
    def hidden(self) -> bool: ...

    def fileno(self) -> int | None:
        """A descriptor that can be read once something has happened in the queue."""

    def refresh(self) -> None: ...


class Refresher:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.panels: dict[Refreshed, float] = {}
        """When each is due, on the monotonic clock."""
        self.last: dict[Refreshed, float] = {}
        self.commands: deque[Callable[[], None]] = deque()
        self.thread: threading.Thread | None = None
        self.bell: tuple[int, int] | None = None

    # -- from any thread

    def add(self, panel: Refreshed) -> None:
        with self.lock:
            self.panels[panel] = 0.0
            if self.thread is None:
                self.bell = os.pipe()
                for end in self.bell:
                    os.set_blocking(end, False)
                self.thread = threading.Thread(target=self.run, name="jobqueue-panels", daemon=True)
                self.thread.start()
            self.ring()

    def remove(self, panel: Refreshed) -> None:
        """On return it is refreshed no more, unless that very thing is under way; the thread ends with the last panel."""
        with self.lock:
            self.panels.pop(panel, None)
            self.last.pop(panel, None)
            thread = None if self.panels else self.thread
            self.ring()
        if thread is not None and thread is not threading.current_thread():
            thread.join(5)

    def hurry(self, panel: Refreshed, seconds: float = 0.0) -> None:
        """Refreshes it in so many seconds, or as soon as it may be."""
        with self.lock:
            if panel in self.panels:
                soon = max(time.monotonic() + seconds, self.last.get(panel, 0.0) + SHORTEST)
                self.panels[panel] = min(self.panels[panel], soon)
                self.ring()

    def hurry_all(self) -> None:
        """Something that all of them show has changed."""
        for panel in list(self.panels):
            self.hurry(panel)

    def command(self, act: Callable[[], None]) -> None:
        """To be done on the thread of the refresher, in the order in which it was asked for."""
        with self.lock:
            self.commands.append(act)
            self.ring()

    def ring(self) -> None:
        if self.bell is not None:
            with suppress(BlockingIOError):
                os.write(self.bell[1], b"!")

    # -- the thread

    def run(self) -> None:
        while self.sleep():
            self.carry_out()
            self.refresh_due()

    def sleep(self) -> bool:
        """Until a command comes, something happens, or a panel is due; False once there is no panel left."""
        with self.lock:
            if not self.panels:
                self.thread, bell, self.bell = None, self.bell, None
                for end in bell or ():
                    os.close(end)
                return False
            assert self.bell is not None
            bell_end = self.bell[0]
            now = time.monotonic()
            awake = [panel for panel in self.panels if not panel.hidden]
            due = min((self.panels[panel] for panel in awake), default=now + 60)
            heard = {}
            for panel in awake:  # one that is about to be refreshed will read its events then
                descriptor = panel.fileno()
                if descriptor is not None and self.panels[panel] > self.last.get(panel, 0.0) + SHORTEST:
                    heard[descriptor] = panel
            waiting = bool(self.commands)
        if not waiting:
            try:
                readable, _, _ = select.select([bell_end, *heard], [], [], max(0.0, due - now))
            except (OSError, ValueError):  # a panel was closed meanwhile, and its descriptor with it
                return True
            with suppress(BlockingIOError):
                while bell_end in readable and os.read(bell_end, 1024):
                    pass
            for descriptor in readable:
                if descriptor in heard:
                    self.hurry(heard[descriptor])
        return True

    def carry_out(self) -> None:
        while self.commands:
            self.attempt(self.commands.popleft())

    def refresh_due(self) -> None:
        now = time.monotonic()
        with self.lock:
            due = [panel for panel, at in self.panels.items() if at <= now and not panel.hidden]
            for panel in due:
                self.last[panel] = now
                self.panels[panel] = now + (panel.every if panel.every is not None else 60)
        for panel in due:
            self.attempt(panel.refresh)

    def attempt(self, act: Callable[[], None]) -> None:
        """A panel shows what goes wrong in it; what comes here went wrong while it did that."""
        try:
            act()
        except Exception:
            log.exception("a panel could not be refreshed")


REFRESHER = Refresher()


def after_fork() -> None:
    """The thread stays with the parent, and so do its panels."""
    global REFRESHER
    REFRESHER = Refresher()


os.register_at_fork(after_in_child=after_fork)

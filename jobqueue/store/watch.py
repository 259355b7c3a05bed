"""File events make things prompt, nothing more: a watch on pending/ puts the names it sees into a queue.

A worker with a backlog needs no events, and each costs some 0.1 ms of CPU, so the watch is taken down while it is busy.
"""

from __future__ import annotations

import logging
import os
from queue import SimpleQueue
from typing import TYPE_CHECKING

from jobqueue.inert import inert_logger
from jobqueue.store.layout import is_job_name

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

log = inert_logger("jobqueue")


def is_news(record: logging.LogRecord) -> bool:
    """False for watchdog's ERROR about the last event that its thread reads while its watch is taken down: that is what
    `pause` means to do, and the look into the folder finds the job."""
    return "when the thread is inactive" not in record.getMessage()


class Watch:
    """Watches one folder. `names` receives the names of jobs that were created, moved in or closed after writing.

    With `quiet` somebody else says what is wrong."""

    def __init__(self, path: str, names: SimpleQueue[str], *, quiet: bool = False) -> None:
        self.path = path
        self.quiet = quiet
        self.names = names
        self.observer: BaseObserver | None = None
        self.watch: ObservedWatch | None = None
        self.broken = ""

    @property
    def watching(self) -> bool:
        return self.watch is not None and self.observer is not None and self.observer.is_alive()

    def start(self) -> bool:
        """True once events arrive; False where this system has none to give (said once, then polling serves)."""
        if self.watching:
            return True
        if self.broken:
            return False
        try:
            self.schedule()
        except OSError as error:
            self.broken = error.strerror or str(error)
            level = logging.DEBUG if self.quiet else logging.WARNING
            log.log(level, "no file events for %s (%s); looking every 50 ms instead", self.path, self.broken)
            return False
        return True

    def schedule(self) -> None:
        from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEventHandler
        from watchdog.observers import Observer
        from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

        class Handler(FileSystemEventHandler):
            def on_any_event(handler, event: FileSystemEvent) -> None:
                name = os.path.basename(os.fsdecode(event.dest_path or event.src_path))
                if is_job_name(name):  # an editor's or a copier's own files must not wake anybody
                    self.names.put(name)

        # A claim moves a file out of the folder; watchdog would hold every event behind it for half a second, hoping
        # to see the other end of that move.
        InotifyMoveEventGrouper.delay = 0
        logging.getLogger("watchdog.observers.inotify").addFilter(is_news)  # the same filter is added only once
        if self.observer is None or not self.observer.is_alive():
            observer = Observer()
            observer.daemon = True
            observer.start()
            self.observer = observer
        self.watch = self.observer.schedule(
            Handler(), self.path, event_filter=[FileCreatedEvent, FileMovedEvent, FileClosedEvent]
        )

    def pause(self) -> None:
        """Takes the watch down while there is a backlog."""
        if self.observer is not None and self.watch is not None:
            self.observer.unschedule(self.watch)
            self.watch = None

    def stop(self) -> None:
        if self.observer is not None:
            self.observer.stop()
            self.observer.join(2)
        self.observer = self.watch = None

"""What every panel is: a widget that is drawn from what was read, commands, a line that says what came of them, an end.

`read` and `draw` run on the refresher's thread, and so does every command. What a person does to the widget only hands
over a command. A panel holds no truth: files and journal do.
"""

from __future__ import annotations

import atexit
import errno
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import ipywidgets as W

from jobqueue.errors import JobQueueError
from jobqueue.inert import inert, inert_logger
from jobqueue.panels import refresh
from jobqueue.panels.plain import plain
from jobqueue.panels.view_widget import View, make_view
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.opening import MEMORY
from jobqueue.queue.queue import Queue

log = inert_logger("jobqueue")
ARMED_FOR = 5.0
"""Seconds that a destructive button waits for its second click."""
SAID_FOR = 12.0
"""Seconds that the line stays which says what was done; one that offers an undo stays until the next."""


@dataclass(frozen=True)
class Said:
    """What came of a command: `kind` is ok, info or error. `undo` can take it back, `job` is an id to open."""

    text: str
    kind: str = "ok"
    undo: Bulk | None = None
    job: str | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Armed:
    """A destructive button after its first click: what the second would do, and until when (monotonic seconds)."""

    key: str
    text: str
    act: Callable[[], Said]
    until: float


@dataclass(frozen=True)
class Told:
    """What a panel itself has to show beside what it read: the last words, an armed button, and why reading failed."""

    said: Said | None = None
    armed: Armed | None = None
    problem: str = ""

    def label(self, key: str, text: str) -> str:
        """What a two-step button says now."""
        return self.armed.text if self.armed is not None and self.armed.key == key else text

    def is_armed(self, key: str) -> bool:
        return self.armed is not None and self.armed.key == key


Command = Callable[[], Said | str | None]
WORDS = ("id", "ids", "value", "key", "type", "what", "start", "count", "column")
"""What a message may say beside what is to be done."""


class Panel:
    """Shown by ending a cell with it, or by `display(panel)`; `close()` or a `with` block ends it.

    `every`: seconds between two looks (None: only when something happens); `read_only`: no buttons that change anything.
    """

    name: ClassVar[str] = "panel"
    about = ""
    """What it shows of the queue, where that is not all of it: a job, a batch."""
    parts: ClassVar[tuple[str, ...]] = ("body", "status")

    def __init__(self, queue: Queue, *, every: float | None = 2.0, read_only: bool = False) -> None:
        self.queue = queue
        self.every = every
        self.read_only = read_only
        self.state: Any = None
        self.told = Told()
        self.closed = False
        self.errors: list[BaseException] = []
        """What went wrong in it, the last few; each stands in the log, too."""
        self.drawing = threading.RLock()
        self.view: View = make_view(self.parts, self.on_event)
        self.widget: W.Widget = self.make_widget()
        replace_older(self)
        self.refresh()
        refresh.REFRESHER.add(self)
        self.view.observe(lambda _: refresh.REFRESHER.hurry(self), "shown")

    # -- what a panel is made of

    def make_widget(self) -> W.Widget:
        return framed(self.name, self.view)

    def read(self) -> Any:
        """What is to be drawn, as plain data."""
        raise NotImplementedError

    def look(self) -> None:
        """Reads all that is to be drawn."""
        self.state = self.read()

    def came_of_it(self) -> Said | None:
        """What is to be said of something that was begun from here, once it has come to its end."""
        return None

    def texts(self, state: Any, told: Told) -> Mapping[str, str]:
        """The HTML of each part, or of those that the panel itself makes. `state` is None until something could be read."""
        raise NotImplementedError

    def draw(self, state: Any, told: Told) -> None:
        self.view.update(self.texts(state, told))

    def fileno(self) -> int | None:
        return None

    def let_go(self) -> None:
        """What a panel holds besides its widgets."""

    # -- refreshing

    @property
    def hidden(self) -> bool:
        return self.view.shown is False

    def refresh(self, *, answered: bool = False) -> None:
        """Looks and draws, at once and on this thread. Where a command has just been `answered`, other news can wait."""
        with self.drawing:
            if self.closed:
                return
            self.told = settled(self.told, time.monotonic())
            try:
                require_folder(self.queue)
                if not answered and (news := self.came_of_it()) is not None:
                    self.told = replace(self.told, said=replace(news, at=time.monotonic()))
                self.look()  # after the news, so that it shows what they tell of
                self.told = replace(self.told, problem="")
            except Exception as error:
                self.failed(error)
                self.told = replace(self.told, problem=worded(error))
            try:
                self.draw(self.state, self.told)
            except Exception as error:
                self.failed(error)
                raise

    def failed(self, error: BaseException) -> None:
        if not any(type(error) is type(known) and str(error) == str(known) for known in self.errors[-1:]):
            log.error("%s: %s", self.name, worded(error), exc_info=not isinstance(error, (JobQueueError, OSError)))
        self.errors = [*self.errors[-9:], error]

    # -- commands

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Something was clicked: `{"do": "retry", "id": "..."}` is `do_retry(id="...")`, on the refresher's thread."""
        words = {str(name): value for name, value in event.items()}
        name = str(words.pop("do", ""))
        self.do(lambda: self.carry_out(name, words))

    def carry_out(self, name: str, words: dict[str, Any]) -> Said | str | None:
        act = getattr(self, f"do_{name.replace('-', '_')}", None)
        if act is None:
            return Said(f"this panel does not know how to {name!r}", "error")
        if self.read_only and getattr(act, "changes", False):
            return Said("this panel is read-only", "error")
        known = {key: value for key, value in words.items() if key in WORDS}
        answer: Said | str | None = act(**known)
        return answer

    def do(self, command: Command) -> None:
        """Does it soon, on the refresher's thread, says what came of it, and draws."""
        refresh.REFRESHER.command(lambda: self.answer(command))

    def answer(self, command: Command) -> None:
        if self.closed:
            return
        before = self.told.armed
        try:
            said = command()
        except Exception as error:
            self.failed(error)
            said = Said(worded(error), "error")
        if isinstance(said, str):
            said = Said(said)
        if said is not None:
            self.told = replace(self.told, said=replace(said, at=time.monotonic()))
        if before is not None and self.told.armed is before:  # any other click lets the first one go
            self.told = replace(self.told, armed=None)
        self.refresh(answered=said is not None)

    def click(self, do: str, **words: Any) -> None:
        """What a click on an element of this panel does, and waits for it: for programs and tests."""
        done = threading.Event()
        self.on_event({"do": do, **words})
        refresh.REFRESHER.command(done.set)
        done.wait(60)

    def ask(self, key: str, text: str, act: Callable[[], Said]) -> Said | None:
        """The first click asks; the second, within five seconds, does it."""
        if self.told.is_armed(key):
            return self.second_click()
        self.told = replace(self.told, armed=Armed(key, text, act, time.monotonic() + ARMED_FOR))
        refresh.REFRESHER.hurry(self, ARMED_FOR)
        return None

    def second_click(self) -> Said | None:
        armed, self.told = self.told.armed, replace(self.told, armed=None)
        return None if armed is None else armed.act()

    def confirm(self, key: str, text: str, rehearse: Callable[[], Bulk], then: Callable[[], None] | None = None) -> Said | None:
        """The same for a bulk: the first click rehearses it and says how many, the second does exactly that, and `then`."""
        if self.told.is_armed(key):
            return self.second_click()
        plan = rehearse()
        if not len(plan):
            return Said(f"Nothing to do: {plan}.", "info")

        def act() -> Said:
            said = told_of(plan.apply())
            if then is not None:
                then()
            return said

        return self.ask(key, text.format(count=f"{len(plan):,}", jobs="job" if len(plan) == 1 else "jobs"), act)

    def do_undo(self) -> Said | None:
        """Takes back what the line offers to take back."""
        said = self.told.said
        if said is None or said.undo is None:
            return None
        back = said.undo.undo()
        return Said(f"{back}.", "ok" if not back.refused else "error")

    def do_dismiss(self) -> None:
        self.told = replace(self.told, said=None)

    # -- its end

    def close(self) -> None:
        """Nothing is left of it: no widget, no thread, no watch."""
        with self.drawing:
            if self.closed:
                return
            self.closed = True
        refresh.REFRESHER.remove(self)
        self.let_go()
        close_all(self.widget)

    def __enter__(self) -> Panel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def still(self) -> str:
        """What stays of it in a saved notebook: HTML that needs no widget, no style sheet and no trust."""
        return plain(getattr(self.view, part) for part in self.parts if part != "status")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {inert(self.queue.store.url)}{', closed' if self.closed else ''}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The live widget, and what a notebook keeps of it for those who read it without a kernel."""
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self.still()}
        if not self.closed:
            live = self.widget._repr_mimebundle_()
            data = live[0] if isinstance(live, tuple) else live
            bundle |= {kind: value for kind, value in (data or {}).items() if kind.startswith("application/vnd.jupyter.widget")}
        return bundle


def require_folder(queue: Queue) -> None:
    """What is open of a folder that was moved away can still be read; whoever looks at the panel must know."""
    url = queue.store.url
    if url != MEMORY and not os.path.isdir(url):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", url)


def told_of(bulk: Bulk) -> Said:
    """What a bulk came to, with the way back where there is one."""
    undo = bulk if bulk.verb in ("purge", "delete", "cancel") and bulk.ids else None
    return Said(f"{bulk.message}.", "ok" if len(bulk) or not bulk.refused else "error", undo=undo)


def changes(method: Any) -> Any:
    """Marks a command that a read-only panel refuses."""
    method.changes = True
    return method


def settled(told: Told, now: float) -> Told:
    """Pure: what is still to be shown of it at this moment."""
    said = told.said
    if said is not None and said.undo is None and now - said.at > SAID_FOR:
        said = None
    armed = told.armed if told.armed is not None and now < told.armed.until else None
    return replace(told, said=said, armed=armed)


def worded(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return inert(f"{os.fsdecode(error.filename)}: {error.strerror}")
    return inert(str(error)) if isinstance(error, JobQueueError) else inert(f"{type(error).__name__}: {error}")


# -- widgets, and who is alive


def framed(name: str, *children: W.Widget) -> W.VBox:
    box = W.VBox(list(children))
    box.add_class("jq-panel")
    box.add_class(f"jq-{name}")
    return box


def close_all(widget: W.Widget) -> None:
    """`close()` of a widget leaves its children, its layout and its style behind."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in ("layout", "style"):
        other = getattr(widget, part, None)
        if isinstance(other, W.Widget):
            other.close()
    widget.close()


ALIVE: dict[tuple[str, str, str, str], weakref.ref[Panel]] = {}


def replace_older(panel: Panel) -> None:
    """A cell that runs again makes its panel anew: the one that it made before is closed."""
    key = (panel.queue.store.url, panel.name, panel.about, cell_id())
    older = ALIVE.get(key)
    found = older() if older is not None else None
    ALIVE[key] = weakref.ref(panel)
    if found is not None:
        found.close()


def cell_id() -> str:
    """Which cell of the notebook runs now, where the front end says so: another cell may show the same panel once more."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return ""
    metadata = kernel.get_parent().get("metadata", {})
    return str(metadata.get("cellId") or metadata.get("cell_id") or "")


def close_panels() -> None:
    for reference in list(ALIVE.values()):
        panel = reference()
        if panel is not None:
            panel.close()


atexit.register(close_panels)
os.register_at_fork(after_in_child=ALIVE.clear)

"""What holds for all panels of a kernel and may change while they are shown."""

from __future__ import annotations

from jobqueue.panels import refresh
from jobqueue.panels.html import details, tag, tick

developer = False


def developer_mode(on: bool | None = None) -> bool:
    """Whether panels show hashes, keys, how a run went, and the boxes for a forced and for a verbose run; with `on` it is
    changed, for all panels of this kernel, as their box "Developer mode" does it."""
    global developer
    if on is not None and developer != bool(on):
        developer = bool(on)
        refresh.REFRESHER.hurry_all()
    return developer


def developer_box() -> str:
    return tick("Developer mode", "developer", developer, title="Hashes, keys, how a run went; forced and verbose runs")


def shown() -> str:
    """The settings of a whole page, folded away."""
    menu = tag("div", developer_box(), class_="jq-menu")
    return tag("div", details("Settings", menu, "settings"), class_="jq-settings")

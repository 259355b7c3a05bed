"""What holds for all panels of a kernel and may change while they are shown."""

from __future__ import annotations

developer = False


def developer_mode(on: bool | None = None) -> bool:
    """Whether panels show hashes, versions and the force box; with `on` it is changed, for all panels of this kernel."""
    global developer
    if on is not None:
        developer = bool(on)
    return developer

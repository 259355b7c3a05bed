"""Panels: live widgets for notebooks. `jobqueue[notebook]` brings what they need.

from jobqueue import Queue, panels

panels.dashboard(Queue("queue_dir"))
"""

from __future__ import annotations

from jobqueue.panels.dashboard import dashboard
from jobqueue.panels.drawer import drawer
from jobqueue.panels.groups import failures
from jobqueue.panels.measures import metrics
from jobqueue.panels.progress import progress
from jobqueue.panels.selector import selector
from jobqueue.panels.settings import developer_mode
from jobqueue.panels.staff import workers

__all__ = [
    "dashboard",
    "developer_mode",
    "drawer",
    "failures",
    "metrics",
    "progress",
    "selector",
    "workers",
]

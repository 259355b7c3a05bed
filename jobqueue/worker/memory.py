"""When memory runs short a worker starts no second job beside the one it runs: slow is better than killed."""

from __future__ import annotations

from jobqueue.inert import inert_logger

log = inert_logger("jobqueue.worker")

SCARCE = 0.05
"""Below this share of the machine's memory the next large job may be the one that the kernel kills."""
MEMINFO = "/proc/meminfo"


class Memory:
    """Says how many jobs at a time there is room for."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.allowed = concurrency

    def look(self) -> None:
        """Lowers the limit to one job while memory is scarce; says so when it changes."""
        if self.concurrency == 1:
            return
        left = available_share()
        allowed = 1 if left is not None and left < SCARCE else self.concurrency
        if allowed != self.allowed:
            self.allowed = allowed
            log.warning("%.0f %% of the memory is available: now %d jobs at a time", 100 * (left or 0), allowed)


def available_share() -> float | None:
    """The share of the machine's memory that is available; None where the system does not say."""
    try:
        with open(MEMINFO) as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) / int(lines["MemTotal"].split()[0])
    except (OSError, KeyError, ValueError, ZeroDivisionError):
        return None

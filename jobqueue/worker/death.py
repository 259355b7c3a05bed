"""How a process died, in words; and what the kernel says of its memory."""

from __future__ import annotations

import resource
import signal

import humanize

from jobqueue.model.job import Failure

VMSTAT = "/proc/vmstat"
PAGE = resource.getpagesize()


def crash(
    code: int | None, peak: int | None, kernel_killed: bool | None, *, sampled: bool = False, started: bool = True
) -> Failure:
    """What an attempt failed of whose process died.

    `code` is its exit code (negative: the number of the signal), None where nobody knows; `peak` the most memory that it
    held, in bytes; `kernel_killed` whether the kernel has killed anything for want of memory meanwhile, None where it
    does not say; `sampled` is True where it was only looked at now and then, and may have held more; `started` is False
    where it had not loaded the handlers yet.
    """
    text = "the process of this attempt " + how(code, kernel_killed)
    if not started:
        text += " while it loaded the handlers"
    if peak is not None:
        text += f"; it held {size(peak)} at {'least' if sampled else 'most'}"
    return Failure(reason="crashed", message=text, exit_code=code, peak_memory=peak)


def how(code: int | None, kernel_killed: bool | None) -> str:
    if code is None:
        return "died"
    if code >= 0:
        return f"ended itself with exit code {code}"
    if -code != signal.SIGKILL:
        return f"was killed by {signal_name(-code)}"
    if kernel_killed is False:
        return "was killed by SIGKILL, by somebody: the kernel killed nothing for want of memory"
    return "was killed by SIGKILL, probably by the kernel for want of memory"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def size(count: int) -> str:
    return humanize.naturalsize(count, format="%.1f" if count >= 1e9 else "%.0f")


# What the kernel says


def kills_for_memory() -> int | None:
    """How many processes this machine's kernel has killed for want of memory since it started; None if it does not say."""
    try:
        with open(VMSTAT) as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), None)
    except (OSError, ValueError, IndexError):
        return None


def memory_of(pid: int) -> int | None:
    """The memory that a process holds now (resident), in bytes; None where it has ended."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return None


def peak_of(pid: int) -> int | None:
    """The most memory that a process has held since it was last told to forget it, in bytes."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), None)
    except (OSError, ValueError, IndexError):
        return None


def own_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

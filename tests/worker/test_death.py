"""What is said of a process that has died."""

from __future__ import annotations

import os
import signal

import pytest

from jobqueue.worker import death

DEATHS = [
    (-11, 45_000_000, None, "was killed by SIGSEGV; it held 45 MB at most"),
    (-9, 1_234_000_000, True, "was killed by SIGKILL, probably by the kernel for want of memory; it held 1.2 GB at most"),
    (-9, 2_000_000, None, "was killed by SIGKILL, probably by the kernel for want of memory; it held 2 MB at most"),
    (-9, None, False, "was killed by SIGKILL, by somebody: the kernel killed nothing for want of memory"),
    (-signal.SIGRTMIN - 5, None, None, f"was killed by signal {signal.SIGRTMIN + 5}"),
    (7, None, None, "ended itself with exit code 7"),
    (None, None, None, "died"),
]


@pytest.mark.parametrize(("code", "peak", "kernel_killed", "text"), DEATHS)
def test_how_it_died_is_said_in_words_and_kept_in_numbers(
    code: int | None, peak: int | None, kernel_killed: bool | None, text: str
) -> None:
    failure = death.crash(code, peak, kernel_killed)
    assert failure.message == f"the process of this attempt {text}"
    assert (failure.reason, failure.exit_code, failure.peak_memory) == ("crashed", code, peak)


def test_a_process_that_never_began_says_so() -> None:
    assert death.crash(1, 45_000_000, None, sampled=True).message.endswith("; it held 45 MB at least")
    assert death.crash(1, None, None, started=False).message.endswith("exit code 1 while it loaded the handlers")


def test_this_machine_says_what_a_process_holds() -> None:
    held, peak = death.memory_of(os.getpid()), death.peak_of(os.getpid())
    assert held is not None
    assert peak is not None
    assert 1_000_000 < held <= peak <= death.own_peak() * 2


def test_of_a_process_that_is_gone_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (death.memory_of(2**30), death.peak_of(2**30)) == (None, None)
    monkeypatch.setattr(death, "VMSTAT", "/proc/nothing")
    assert death.kills_for_memory() is None

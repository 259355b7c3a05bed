"""Walks a queue folder, on a queue in use too, and reports what breaks a rule of the protocol; mends what is safe to mend.

Jobs move while this looks. So nothing is reported at the first sight: what was seen is looked at again after a moment,
and only what is still so counts. Nothing is touched that a live owner holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from jobqueue.store.base import Store
from jobqueue.store.check_jobs import JOB_CHECKS
from jobqueue.store.check_support import SUPPORT_CHECKS
from jobqueue.store.finding import Finding, some
from jobqueue.store.problem import Problem
from jobqueue.store.spool import Spool

MOMENT = 0.05
"""Seconds between the two looks: far longer than a job is between two folders."""


def check(store: Store, repair: bool = False) -> list[Finding]:
    """One finding for each kind of problem, or a single one that says that all is well. Never raises for a broken queue."""
    if not isinstance(store, Spool):
        return [Finding("ok", "check", f"{store.url}: no folder to look at")]
    if store.closed:  # its descriptors may mean other folders by now
        return [Finding("fail", "queue folder", "was closed", "open the queue again")]
    findings = [finding for look in (*JOB_CHECKS, *SUPPORT_CHECKS) for finding in carry_out(store, look, repair)]
    return findings or [all_well(store)]


def all_well(spool: Spool) -> Finding:
    counts = ", ".join(f"{number} {status}" for status, number in spool.counts().items())
    return Finding("ok", "check", f"{counts}: nothing breaks a rule")


def carry_out(spool: Spool, look: Callable[[Spool], Iterable[Problem]], repair: bool) -> list[Finding]:
    try:
        seen = list(look(spool))
        if seen:
            time.sleep(MOMENT)
            again = {problem.key: problem for problem in look(spool)}
            seen = [again[problem.key] for problem in seen if problem.key in again]
    except Exception as error:
        what = look.__name__.removeprefix("find_").replace("_", " ")
        return [Finding("fail", what, f"could not be looked at: {type(error).__name__}: {error}", "see jobqueue doctor")]
    findings = []
    for what, group in groupby(sorted(seen, key=lambda problem: problem.what), key=lambda problem: problem.what):
        findings += report(list(group), what, repair)
    return findings


def report(group: Sequence[Problem], what: str, repair: bool) -> list[Finding]:
    """What was mended, and what is left, each with the first few."""
    mended: list[Problem] = []
    left: list[Problem] = []
    failures: list[str] = []
    for problem in group:
        done = False
        if repair and problem.mend is not None:
            try:
                done = problem.mend()
            except OSError as error:
                failures.append(f"{problem.name}: {error.strerror or error}")
        (mended if done else left).append(problem)
    findings = []
    if mended:
        findings.append(Finding("ok", what, f"{found(mended)}; mended: {mended[0].mended}"))
    if left:
        level = "fail" if any(problem.level == "fail" for problem in left) else left[0].level
        fix = f"could not be mended ({some(failures)}); {left[0].fix}" if failures else left[0].fix
        findings.append(Finding(level, what, found(left), fix))
    return findings


def found(group: Sequence[Problem]) -> str:
    texts = [f"{problem.name} {problem.found}".rstrip() for problem in group]
    return texts[0] if len(texts) == 1 else f"{len(texts)}: {some(texts)}"


__all__ = ["check"]

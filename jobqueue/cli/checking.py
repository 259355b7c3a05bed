"""`check` and `doctor`: whether the folder, and what surrounds it, is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from jobqueue.cli.opening import open_queue
from jobqueue.cli.options import json_option, queue_option
from jobqueue.cli.printing import echo_json, one_line

if TYPE_CHECKING:
    from jobqueue.store.finding import Finding


COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}

CHECK_EPILOG = """
\b
Examples:
  jobqueue check
  jobqueue check --repair

--json: {ok, findings: [{level, what, found, fix}]}; level is ok, warn or fail. Exit code 1 where one is fail.
"""


@click.command(epilog=CHECK_EPILOG)
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@json_option
@queue_option
def check(repair: bool, as_json: bool) -> None:
    """Look at every file of the queue for what breaks a rule."""
    from jobqueue.cli.progress import waiting
    from jobqueue.store.check import check as look

    with open_queue() as queue, waiting("checking"):
        findings = look(queue.store, repair=repair)
    tell(findings, as_json)


DOCTOR_EPILOG = """
\b
Examples:
  jobqueue doctor
  jobqueue doctor --json

--json: {ok, findings: [{level, what, found, fix}]}; level is ok, warn or fail. Exit code 1 where one is fail.
"""


@click.command(epilog=DOCTOR_EPILOG)
@json_option
@queue_option
def doctor(as_json: bool) -> None:
    """Examine the queue and its surroundings, and say what to do.

    It looks at the file system, permissions, free space, workers and jobs that wait for none.
    """
    from jobqueue.cli.progress import waiting
    from jobqueue.queue.doctor import doctor as examine

    with open_queue() as queue, waiting("examining"):
        findings = examine(queue)
    tell(findings, as_json)


def tell(findings: Sequence[Finding], as_json: bool) -> None:
    counts: Counter[str] = Counter(finding.level for finding in findings)
    if as_json:
        echo_json({"ok": not counts["fail"], "findings": findings})
    else:
        for finding in findings:
            tell_finding(finding)
        click.echo(", ".join(f"{counts[level]} {level}" for level in COLORS))
    if counts["fail"]:
        click.get_current_context().exit(1)


def tell_finding(finding: Finding) -> None:
    level = click.style(f"{finding.level:5}", fg=COLORS.get(finding.level))
    click.echo(f"{level} {one_line(finding.what)}: {one_line(finding.found)}")
    if finding.fix and finding.level != "ok":
        click.echo(f"      {one_line(finding.fix)}")

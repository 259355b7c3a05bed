"""What there is to do in the demo: the commits of a git repository, else the files of the Python standard library."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyse import analyse_commit, analyse_file, git

LONGEST_TITLE = 200
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test"}


class NoHistory(Exception):
    """There are no commits to look at; the message says why."""


@dataclass(frozen=True)
class Work:
    """A payload for each job, one that must fail, and which argument of the handler names a piece of work."""

    handler: Callable[..., Any]
    item: str
    payloads: list[dict[str, Any]]
    broken: dict[str, Any]
    sentence: str

    def title(self, payload: dict[str, Any]) -> str:
        """A commit or a file in one line."""
        name = str(payload.get(self.item, "?"))
        return f"{name[:9]} {payload.get('title', '')}" if self.item == "commit" else payload.get("title") or name


def commits_of(repo: Path, limit: int) -> Work:
    """The newest commits of what is checked out; raises `NoHistory`."""
    try:
        total = int(git(str(repo), "rev-list", "--count", "HEAD"))
        log = git(str(repo), "log", "-z", "--no-show-signature", "--encoding=UTF-8", f"--max-count={limit}", "--format=%H %s")
    except FileNotFoundError:
        raise NoHistory("git is not installed") from None
    except RuntimeError as error:
        raise NoHistory(str(error)) from None
    pairs = [line.strip("\n").partition(" ") for line in log.split("\0") if line.strip("\n")]
    payloads = [{"repo": str(repo), "commit": commit, "title": title[:LONGEST_TITLE]} for commit, _, title in pairs]
    broken = {"repo": str(repo), "commit": "0" * 40, "title": "a commit that does not exist"}
    cut = f", the newest {limit:,} of them" if total > len(payloads) else ""
    return Work(analyse_commit, "commit", payloads, broken, f"{repo} has {total:,} commit{'s' * (total != 1)}{cut}.")


def library_files(limit: int, why: str) -> Work:
    """The Python files of the standard library, its tests left out."""
    root = Path(sysconfig.get_path("stdlib"))
    names = sorted(path.relative_to(root) for path in root.rglob("*.py"))
    names = [name for name in names if LEFT_OUT.isdisjoint(name.parts)]
    payloads = [{"path": str(root / name), "title": str(name)} for name in names[:limit]]
    broken = {"path": str(root / "no_such_module.py"), "title": "a file that does not exist"}
    cut = f", the first {limit:,} of them" if len(names) > limit else ""
    sentence = f"No commits to analyse ({why}); the standard library has {len(names):,} files{cut}."
    return Work(analyse_file, "path", payloads, broken, sentence)

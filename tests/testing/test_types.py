"""What mypy and pyright make of `enqueue`: they must agree."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from jobqueue import JobContext, Queue, as_completed, handler

@handler
def scan(repo: str, deep: bool = False) -> dict[str, int]:
    return {}

@handler(timeout="5m")
def fetch(ctx: JobContext, url: str) -> str:
    return url

queue = Queue(":memory:")
reveal_type(queue.enqueue(scan, repo="octo/cat").result())
reveal_type(queue.enqueue(fetch, url="https://example.org").result())
reveal_type(queue.with_options(delay="10m").enqueue(scan, "octo/cat").result())
reveal_type(queue.enqueue("scan", {"repo": "octo/cat"}).result())
reveal_type(queue.enqueue(scan, repo="octo/cat").status)
reveal_type(queue.enqueue_many(scan, [{"repo": "octo/cat"}]).results())
async def wait() -> None:
    reveal_type(await queue.enqueue(fetch, url="https://example.org"))
reveal_type(next(as_completed([queue.enqueue(fetch, url="x")])).result())
queue.enqueue(scan, repo=1)  # wrong
queue.enqueue(scan, rep="x")  # wrong
queue.enqueue(fetch)  # wrong
"""
WRONG = {number for number, line in enumerate(CODE.splitlines(), 1) if line.endswith("# wrong")}
REVEALED = ["dict[str, int]", "str", "dict[str, int]", "Any", "Status", "list[dict[str, int]]", "str", "str"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "code.py"
    path.write_text(CODE)
    return path


def test_mypy_checks_calls_and_knows_results(file: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(file.parent), str(file)]
    output = subprocess.run(command, capture_output=True, text=True).stdout

    revealed = [name.rpartition(".")[2] if "[" not in name else name for name in re.findall(r'type is "(.*?)"', output)]
    assert [name.replace("builtins.", "") for name in revealed] == REVEALED
    assert {int(line) for line in re.findall(r"code\.py:(\d+): error", output)} == WRONG


def test_pyright_agrees(file: Path) -> None:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(file)]
    result = subprocess.run(command, capture_output=True, text=True)
    if "error" not in result.stdout:
        pytest.skip(f"pyright does not run here: {(result.stdout + result.stderr)[-200:]}")

    assert re.findall(r'information: Type of ".*?" is "(.*?)"', result.stdout) == REVEALED
    assert {int(line) for line in re.findall(r"code\.py:(\d+):\d+ - error", result.stdout)} == WRONG

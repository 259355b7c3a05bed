"""Without the packages of the extra, the import says which command brings them."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys

sys.modules[{module!r}] = None
try:
    import jobqueue.analytics
except ModuleNotFoundError as error:
    print(error.name, "|", error)
"""


def said(module: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module)], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("module", ["duckdb", "pandas", "pyarrow"])
def test_the_import_says_how_to_install_what_is_missing(module: str) -> None:
    assert said(module) == f"{module} | jobqueue.analytics needs {module}; run: pip install 'jobqueue[analytics]'\n"


def test_another_missing_module_is_named_as_it_is() -> None:
    assert "pip install" not in said("jobqueue.analytics.frames")

"""Each notebook runs from its first cell to its last, and is kept without outputs."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")
def test_run_all(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    if any('"git"' in cell.source for cell in notebook.cells) and not (ROOT / ".git").exists():
        pytest.skip("its data are the history of this repository, and this copy has none")
    client = NotebookClient(notebook, timeout=100, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    errors = "".join(output.text for output in shown if output.output_type == "stream" and output.name == "stderr")
    assert not [line for line in errors.splitlines() if not line.startswith("failed ")]  # what a drain says of failed jobs
    assert len(shown) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_every_link_leads_somewhere() -> None:
    folder = ROOT / "notebooks"
    texts = [(folder / "README.md").read_text(), *(path.read_text() for path in NOTEBOOKS)]
    links = {target for text in texts for target in re.findall(r"\]\(([^)#\\\s]+)\)", text)}
    assert {path.name for path in NOTEBOOKS} >= {link for link in links if link.endswith(".ipynb")}
    assert {link for link in links if not (folder / link).exists()} == set()
    assert links

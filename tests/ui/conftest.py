"""JupyterLab in headless Chromium: a real server, a real kernel, a real page; no request leaves the machine.

Skipped, saying why, where there is no Chromium: `apt-get install chromium`. With JOBQUEUE_SCREENSHOTS=folder each `look`
leaves a picture there, JOBQUEUE_UI_THEME="JupyterLab Dark" runs all of it on a dark page.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

CHROMIUM = os.environ.get("JOBQUEUE_CHROMIUM") or shutil.which("chromium")
THEME = os.environ.get("JOBQUEUE_UI_THEME", "JupyterLab Light")
PICTURES = os.environ.get("JOBQUEUE_SCREENSHOTS")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PRIVATE = (
    *("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"),
    *("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"),
)
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
READY = """() => {
  const panel = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
  const kernel = panel?.querySelector('.jp-Toolbar-kernelName');
  const light = panel?.querySelector('.jp-Notebook-ExecutionIndicator');
  return kernel && light && !/No Kernel/.test(kernel.innerText) && light.dataset.status === 'idle';
}"""
"""The light is idle while there is no kernel yet, and to run all cells does nothing then."""
BAD = ", ".join(f'.jp-RenderedText[data-mime-type="application/vnd.jupyter.{kind}"]' for kind in ("error", "stderr"))


class Lab(NamedTuple):
    """`root` is the folder of its notebooks."""

    root: Path
    base: str
    token: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser for all of them: they run in one go."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ui)
            item.add_marker(pytest.mark.timeout(180))
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    pytest.importorskip("jupyterlab")
    root, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    settings = home / "JUPYTERLAB_SETTINGS_DIR/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": THEME}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(16), home / "server.log"
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]  # the kernel is this Python
    environment = {**os.environ, **{name: str(home / name) for name in PRIVATE}, "JUPYTER_PREFER_ENV_PATH": "1", "PATH": path}
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--expose-app-in-browser"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--ServerApp.allow_root=True"),
        *("--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        *("--LabApp.extension_manager=readonly", "--JupyterNotebookApp.expose_app_in_browser=True"),
    ]
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    base, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
    try:
        while not answers(f"{base}/api/status?token={token}"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Lab(root, base, token)
    finally:
        server.send_signal(signal.SIGTERM)  # the server ends its own kernels
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answers(address: str) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(address, timeout=2).close()
        return True
    return False


@pytest.fixture(scope="session")
def browser(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            args=list(FLAGS),
            executable_path=CHROMIUM,
            headless=True,
            viewport={"width": 1280, "height": 1400},
        )
        yield context
        context.close()


@pytest.fixture
def page(lab: Lab, browser: Any) -> Iterator[Any]:
    """A page of its own. What it asks of another machine is refused, and fails the test; so does an error of its scripts."""
    page, foreign, broken = browser.new_page(), [], []

    def guard(route: Any) -> None:
        if route.request.url.startswith((lab.base, "data:", "blob:")):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    page.route("**/*", guard)
    page.on("pageerror", lambda error: broken.append(f"{error}\n{error.stack}"))
    page.foreign, page.broken = foreign, broken
    yield page
    page.evaluate("async () => { await window.jupyterapp?.serviceManager.sessions.shutdownAll() }")
    page.close()
    assert foreign == []
    assert broken == []


@pytest.fixture
def notebook(lab: Lab, page: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs cells in a notebook of their own, and gives the page."""

    def run(*cells: str, name: str = "") -> Any:
        name = name or f"{request.node.name[:60]}.ipynb"
        document = nbformat.v4.new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
        )
        hidden = {"jupyter": {"source_hidden": True}}  # else the panel lies below the fold
        document.cells = [nbformat.v4.new_code_cell(cell, metadata=hidden) for cell in cells]
        nbformat.write(document, lab.root / name)
        return opened(lab, page, name, run_all=True)

    return run


def opened(lab: Lab, page: Any, name: str, *, run_all: bool) -> Any:
    page.goto(f"{lab.base}/lab/tree/{name}?token={lab.token}&reset", wait_until="domcontentloaded")
    page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function(READY, timeout=60_000)
    if run_all:
        run_cells(page)
    return page


def run_cells(page: Any) -> None:
    page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    assert page.locator(BAD).all_inner_texts() == []


@pytest.fixture
def look(page: Any, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Leaves a picture for people to look at, where they have said in which folder."""

    def take(name: str) -> None:
        if PICTURES:
            page.screenshot(path=str(Path(PICTURES) / f"{name}-{THEME.split()[-1].lower()}.png"))

    return take

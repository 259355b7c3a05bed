"""A job names a handler and carries data: it leads to no path, import, program or code outside of what was there without it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from jobqueue import Queue, handler
from jobqueue.errors import InvalidJob
from jobqueue.model.limit import fill_key
from jobqueue.model.names import GIVEN_ID
from jobqueue.model.status import Status
from jobqueue.store.layout import file_name
from jobqueue.testing import drain

ROOT = Path(__file__).parents[2]
PATHS = {
    "up": "../../escaped",
    "absolute": "/tmp/jobqueue-escaped",
    "nul": "a\0b",
    "dots": "..",
    "home": "~/escaped",
    "module": "os.system",
    "url": "file:///etc/passwd",
    "import": "__import__('os').system('touch escaped')",
    "too long": "n" * 300,
}
WORKER = """
import json, os, sys
from jobqueue import Queue, handler
from jobqueue.queue.config import Config
from jobqueue.worker.worker import Worker

@handler(type="known")
def known(**payload): return payload

def run(folder):
    queue = Queue(folder, config=Config(durability="relaxed", settle_time=0.0))
    Worker(queue, [known]).run(drain=True, patience=0.3)
    queue.stats(); [repr(job) + job.why() + job.log() for job in queue.jobs()]; queue.close()

seen = []
def listen(event, args):
    if event in ("open", "import", "exec", "compile", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.rename",
                 "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "socket.connect", "pickle.find_class"):
        seen.append([event, str(args[0])])

warm, folder = sys.argv[1:]
run(warm)  # what is imported for any job
modules = set(sys.modules)
sys.addaudithook(listen)
run(folder)
print(json.dumps({"seen": seen, "new": sorted(set(sys.modules) - modules)}))
"""
ALLOWED = {"open", "os.remove", "os.mkdir", "os.rmdir", "os.rename"}


def drop_all(folder: Path, words: dict[str, str]) -> None:
    fields = ("name", "project", "batch", "run_id", "pipeline_version", "concurrency_key")
    for number, word in enumerate(words.values()):
        for type in ("known", word):
            document = {"type": type, "payload": {"path": word, word: word}, "id": word, "after": [], word: word}
            document |= (
                {"idempotency_key": f"{type} {word}"}
                | dict.fromkeys(fields, word)
                | {"tags": [word], "artifacts": {word: {"path": word}}, "locked_by": word}
            )
            (folder / "pending" / f"{number}-{type == 'known'}.json").write_text(json.dumps(document))


def test_a_worker_opens_imports_and_runs_nothing_that_a_job_names(tmp_path: Path) -> None:
    """By the audit hooks of Python: only names below the queue, opened there; nothing new is imported, compiled, started."""
    for name, words in (("warm", {"plain": "plain"}), ("q", PATHS)):
        Queue(tmp_path / name).close()
        drop_all(tmp_path / name, words)

    done = subprocess.run(
        [sys.executable, "-c", WORKER, tmp_path / "warm", tmp_path / "q"], capture_output=True, text=True, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["new"] == []
    assert {event for event, _ in found["seen"]} <= ALLOWED
    for event, path in found["seen"]:
        assert allowed(path, tmp_path / "q"), (event, path)
    assert sorted(os.listdir(tmp_path)) == ["here", "q", "warm"]
    queue = Queue(tmp_path / "q")
    stats = queue.stats()
    assert (stats.done, stats.pending, stats.claimed) == (len(PATHS), 0, 0)
    assert stats.failed == len(PATHS)
    assert {job.error.reason for job in queue.jobs(status="failed")} == {"unknown_type"}  # type: ignore[union-attr]
    queue.close()


def allowed(path: str, folder: Path) -> bool:
    """A name of one part is opened in a folder that is held open."""
    if path.startswith("/"):
        return path.startswith((str(folder), "/proc/", "/sys/")) and ".." not in path
    return "/" not in path and path not in (*PATHS.values(), "..")


@pytest.mark.parametrize("word", PATHS.values(), ids=PATHS)
def test_no_id_leads_out_of_the_queue(word: str, tmp_path: Path) -> None:
    """Every verb that takes an id says that there is none; nothing is made, moved or removed."""
    for name in ("escaped.json", "escaped"):
        (tmp_path / name).write_text('{"type": "x"}')
    with Queue(tmp_path / "a" / "q", durability="relaxed") as queue:
        before = listing(tmp_path)
        notes = queue.store.notes
        for call in (queue.get, queue.retry, queue.cancel, queue.delete, queue.store.get):
            with pytest.raises(KeyError):
                call(word)
        assert queue.restore([word]).refused
        assert queue.store.where(word) is None
        assert list(queue.store.resting(Status.FAILED, [word])) == []
        assert queue.store.moving.in_trash(word + ".json") is None
        if file_name(word) is None:
            for call in (notes.progress, notes.items, notes.checkpoint):
                with suppress(InvalidJob):
                    assert not call(word)
            for call in (notes.read_log, notes.open_log, lambda id: notes.artifact_path(id, "x")):
                with pytest.raises(InvalidJob):
                    call(word)
        if not GIVEN_ID.fullmatch(word):
            with pytest.raises(InvalidJob):
                queue.enqueue("scan", {}, id=word)
        assert listing(tmp_path) == before


def listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if ".jobqueue" not in path.parts[:-1] and path.name != "here")


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", ".hidden", "", "a\0b", "n" * 201, "\udcff"])
def test_no_artifact_gets_out_of_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        job = queue.enqueue("scan", {})
        with pytest.raises(InvalidJob):
            queue.store.notes.keep_artifact(job.id, tmp_path / "file", name)
        with pytest.raises(InvalidJob):
            queue.store.notes.artifact_path(job.id, name)


def test_a_key_made_from_a_template_is_no_format_string() -> None:
    """`{repo}` is a field of the payload and nothing else: no attribute, no index, no second round."""
    payload = {"repo": "{owner.__class__} %s {0}", "owner": "x"}
    assert fill_key("{repo}/{owner}", payload) == "{owner.__class__} %s {0}/x"
    assert fill_key("{owner}{owner.__class__}{owner[0]}", payload) == "x{owner.__class__}{owner[0]}"
    assert fill_key("{repo.__class__}", payload) is None
    assert fill_key("{repo[0]}", payload) is None


def test_a_notebook_about_a_job_holds_its_text_and_none_of_its_code(hostile: str, tmp_path: Path) -> None:
    """Each cell of code is what it is without the job, but for literals; in Markdown all of it stands inside a fence."""
    escapes = [hostile, "'''", '"""', "\\", "```\n# x\n```", "}); import os", "\U0001f600", "~~~\n# x", "# x"]
    payload = {word: [word, {word: word}] for word in escapes}
    stem = hostile.replace("/", "_")
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        document = {"type": hostile, "payload": payload, "name": "```\n# x\n" + hostile}
        (tmp_path / "q" / "pending" / f"{stem}.json").write_text(json.dumps(document))

        @handler(type=hostile)
        def fails(**payload: object) -> None:
            raise ValueError("```\n# x\n" + hostile)

        job = queue.get(stem)
        drain(queue, [fails])
        assert job.history
        written = job.to_notebook(tmp_path / "n.ipynb")
    cells = json.loads(written.read_text())["cells"]
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    names = {node.id for source in code for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert names <= {"Queue", "queue", "job", "payload", "versions"}
    assigned = next(source for source in code if source.startswith("payload = ")).rpartition("\n")[0]
    assert ast.literal_eval(assigned.removeprefix("payload = ")) == payload
    for source in (cell["source"] for cell in cells if cell["cell_type"] == "markdown"):
        outside = outside_of_fences(source)
        assert "\x1b" not in outside
        assert not {"# x", "FORGED: all is well", "<script>alert(1)</script>"} & set(outside.split("\n"))
        assert "<" not in outside
        assert "](" not in outside


def outside_of_fences(source: str) -> str:
    """As CommonMark reads it: a fence ends at a line of at least as many backticks as it began with."""
    fence, outside = "", []
    for line in source.splitlines():
        if fence:
            fence = "" if line.startswith(fence) and not line.strip("`") else fence
        elif line.startswith("```"):
            fence = line[: len(line) - len(line.lstrip("`"))]
        else:
            outside.append(line)
    assert not fence
    return "\n".join(outside)


RUNS_CODE = {"eval", "exec", "__import__", "import_module", "system", "popen", "Popen", "execv", "exec_module", "load", "loads"}
REVIEWED = {
    "jobqueue/__init__.py: importlib.import_module",  # our own names
    "jobqueue/queue/handler.py: importlib.import_module",  # the module in which a function says that it is defined
    "jobqueue/queue/registry.py: importlib.import_module",  # what a worker was started with
    "jobqueue/queue/registry.py: spec.loader.exec_module",  # the same
    "jobqueue/queue/registry.py: load",
    "jobqueue/queue/cells.py: exec",  # a cell's source, by a worker that was started with this very module
    "jobqueue/queue/cells.py: eval",  # the same
    "jobqueue/panels/handler_file.py: Registry.load",  # the cell that was just written, by whoever runs it
    "jobqueue/queue/here.py: Registry.load",  # what the caller names, or jobqueue.yaml
    "jobqueue/queue/notebook_of.py: Registry.load",
    "jobqueue/queue/starting.py: Registry.load",
    "jobqueue/worker/__main__.py: Registry.load",
    "jobqueue/worker/__main__.py: reloader.load",
    "jobqueue/worker/reload.py: Registry.load",
    "jobqueue/worker/child.py: Registry.load",
    "jobqueue/queue/registry.py: Registry.load",  # `handlers=` of a worker
    "jobqueue/worker/reload.py: os.execv",  # this very command
    "jobqueue/store/launching.py: subprocess.Popen",  # this very python, as a worker
    "jobqueue/worker/slot.py: subprocess.Popen",  # this very python, as a child
    "jobqueue/worker/child.py: pickle.loads",  # the settings that its own worker sends over a private socket, no job
    "jobqueue/store/notes.py: json.loads",
    *(f"jobqueue/analytics/pictures/{name}.py: load" for name in ("amounts", "gantt", "queued", "spread")),  # attempts
}


def test_every_way_to_run_code_was_looked_at() -> None:
    """Whoever adds one adds it above, and says why no job reaches it."""
    found = set()
    for file in sorted((ROOT / "jobqueue").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert "shell" not in {word.arg for word in node.keywords}, f"{file}:{node.lineno}"
                if name.rpartition(".")[2] in RUNS_CODE:
                    found.add(f"{file.relative_to(ROOT)}: {name}")
    assert found == REVIEWED

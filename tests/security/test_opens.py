"""Every open, and all that changes a folder, goes through descriptors: a list of the exceptions, each looked at."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2] / "jobqueue"
OF_OS = {
    *("open", "stat", "lstat", "mkdir", "makedirs", "unlink", "remove", "rename", "replace", "rmdir", "link", "symlink"),
    *("listdir", "scandir", "chmod", "chown", "access", "truncate", "utime", "readlink"),
}
OF_OS_PATH = {"isfile", "isdir", "exists", "lexists", "getsize", "samefile"}
OF_A_PATH = {
    *("read_text", "read_bytes", "write_text", "write_bytes", "touch", "is_file", "is_symlink", "iterdir", "glob", "rglob"),
    *("mkdir", "unlink", "rmdir", "exists", "stat", "lstat"),
}
BY_ITSELF = {"open", "FileLock"}
DESCRIPTORS = {"cache", "folder", "fd", "tmp", "marks", "locks", "workers", "failed", "inside", "pending", "trash"}
REVIEWED = {
    # The queue folder itself is opened once by its path, and no symlink is followed; then it is checked.
    "store/folder.py: self.path.is_symlink()",
    "store/folder.py: parent.exists()",
    "store/folder.py: parent.mkdir(mode=493, exist_ok=True)",
    "store/folder.py: self.path.mkdir(mode=448, exist_ok=True)",
    "store/folder.py: os.stat(self.path, follow_symlinks=False)",
    # filelock takes a path: what it leads to is compared with the descriptor before and after.
    "store/locks.py: FileLock(self.folder / owner, thread_local=False, mode=384, fallback_to_soft=False)",
    # Not in the queue: what the handler named, a temporary folder of our own, what the kernel tells.
    "store/notes.py: os.path.isdir(path)",
    "store/notes.py: os.stat(path)",
    "store/notes.py: open(path, 'rb')",
    "store/memory_notes.py: os.makedirs(os.path.dirname(target), exist_ok=True)",
    "store/memory_notes.py: shutil.copyfile(path, target)",
    "store/memory_notes.py: os.path.getsize(target)",
    "store/memory_notes.py: tempfile.mkdtemp(prefix='jobqueue-')",
    "store/check_support.py: os.path.exists(f'/proc/{pid}')",
    "store/mounts.py: Path(f'/proc/self/fdinfo/{file}').read_text()",
    "store/mounts.py: Path(MOUNTS).read_bytes()",
    "store/mounts.py: os.path.lexists(folder / mark)",
    "store/selftest.py: Path('/proc/self/status').read_text()",
    "store/selftest.py: os.stat(parent)",
    "store/trial.py: os.readlink(f'/proc/self/fd/{fd}')",
    # Settings, handlers, bundles and notebooks: what a person named.
    "queue/bundle.py: zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED)",
    "queue/bundle.py: zipfile.ZipFile(path)",
    "queue/bundle.py: tempfile.TemporaryDirectory(prefix='jobqueue-')",
    "queue/bundle.py: target.unlink(missing_ok=True)",
    "queue/bundle.py: os.path.isfile(kept)",
    "queue/private.py: os.open(path, NEW, 384)",
    "queue/config.py: os.path.lexists(folder / FILE_NAME)",
    "queue/config.py: file.read_bytes()",
    "queue/config.py: file.exists()",
    "queue/config.py: file.stat()",
    "queue/config.py: file.parent.stat()",
    "queue/doctor.py: Path(MEMINFO).read_text()",
    "queue/registry.py: path.is_file()",
    "queue/registry.py: path.parent.glob('*.py')",
    "queue/registry.py: (folder / '__init__.py').is_file()",
    "queue/registry.py: os.path.exists(spec.origin)",
    "queue/registry.py: os.path.samefile(spec.origin, path)",
    "queue/registry.py: Path.cwd().glob('*.py')",
}


def test_every_path_that_is_opened_was_looked_at() -> None:
    """Whoever opens, makes or removes something in the store or above it by a path adds it here, and says why."""
    found = set()
    for floor in ("store", "queue"):
        for file in sorted((ROOT / floor).glob("*.py")):
            found |= {f"{floor}/{file.name}: {call}" for call in calls_with_a_path(ast.parse(file.read_text()))}
    assert found == REVIEWED


def calls_with_a_path(tree: ast.AST) -> set[str]:
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call) and takes_a_path(node)}


def takes_a_path(call: ast.Call) -> bool:
    owner, _, name = ast.unparse(call.func).rpartition(".")
    if {"dir_fd", "src_dir_fd"} & {word.arg for word in call.keywords}:
        return False
    if owner == "os":
        return name in OF_OS and not (name in ("listdir", "scandir") and is_descriptor(call.args[0]))
    if owner in ("shutil", "tempfile", "zipfile"):
        return name != "BadZipFile" and name != "get_terminal_size"
    if owner == "":
        return name in BY_ITSELF
    return name in (OF_OS_PATH if owner == "os.path" else OF_A_PATH) and owner not in ("files", "entry")


def is_descriptor(node: ast.expr) -> bool:
    """By its name: no path is called so in the store."""
    text = ast.unparse(node)
    held = ("fds[", "by_status[", "claim_folder(", "open_briefly(", ".claimed", ".pending", ".folder", ".workers")
    return text in DESCRIPTORS or any(word in text for word in held)


def test_every_open_in_the_store_follows_no_symlink() -> None:
    """Each `os.open` names flags that hold O_NOFOLLOW."""
    wrong = []
    for file in sorted((ROOT / "store").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.open":
                flags = ast.unparse(node.args[1])
                if not any(word in flags for word in ("NOFOLLOW", "LOOK", "APPEND", "NEW", "FOLDER", "KEY_FILE")):
                    wrong.append(f"{file.name}: {flags}")
                if "dir_fd" not in {word.arg for word in node.keywords}:
                    wrong.append(f"{file.name}: {ast.unparse(node)}")
    assert wrong == []

"""The source of a cell is run by a worker that was started for cells, and by no other."""

from __future__ import annotations

import json
from pathlib import Path

from jobqueue import Queue
from jobqueue.model.status import Status


def test_only_a_worker_that_was_started_with_it_runs_cells(tmp_path: Path) -> None:
    """A file that somebody drops is no reason to run what stands in it."""
    queue = Queue(tmp_path / "q", durability="relaxed")
    (tmp_path / "mine.py").write_text("from jobqueue import handler\n@handler\ndef scan(): ...\n")
    body = {"type": "cell", "payload": {"source": f"from pathlib import Path; Path({str(tmp_path / 'touched')!r}).touch()"}}
    Path(queue.store.url, "pending", "x.json").write_text(json.dumps(body))
    queue.drain(str(tmp_path / "mine.py"), progress=False)
    assert not (tmp_path / "touched").exists()
    assert queue.get("x").status is Status.PENDING
    queue.drain("jobqueue.queue.cells", progress=False)
    assert (tmp_path / "touched").exists()
    queue.close()

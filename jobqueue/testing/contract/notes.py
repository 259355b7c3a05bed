"""What a running job leaves beside its file."""

from __future__ import annotations

from pathlib import Path

from jobqueue.model.job import Failure
from jobqueue.model.progress import Progress
from jobqueue.model.told import Told, tell
from jobqueue.model.transition import complete, fail
from jobqueue.testing.contract.words import CLAIMED, DONE, PENDING, Words


class Notes(Words):
    def test_progress_is_seen_while_the_attempt_runs(self) -> None:
        id = self.add()
        self.claim()

        self.store.notes.set_progress(id, Progress(percent=40, message="half", metrics={"tokens": 3}))

        job = self.stored(id)
        assert job.progress is not None
        assert (job.progress.percent, job.progress.message, job.metrics) == (40, "half", {"tokens": 3})
        assert [located.job.progress for located in self.store.scan(statuses=[CLAIMED]).items] == [job.progress]

    def test_progress_of_another_attempt_is_not_shown(self) -> None:
        id = self.add()
        self.claim()

        self.store.notes.set_progress(id, Progress(percent=40, attempt=7))

        assert self.stored(id).progress is None

    def test_what_was_told_goes_with_the_job_and_its_attempt(self) -> None:
        id = self.add(max_attempts=2)
        claim = self.claim()
        self.store.notes.set_progress(id, Progress(percent=40))
        self.store.notes.set_checkpoint(id, {"row": 7})
        told = Told(Progress(percent=40, message="half"), {"tokens": 3.0}, {"a.txt": {"size": 1}})

        self.store.apply([(claim, tell(fail(claim.job, Failure(), self.run(claim)), told))])

        job = self.stored(id)
        assert self.status(id) is PENDING
        assert job.progress is not None
        assert (job.progress.percent, job.artifacts) == (40, {"a.txt": {"size": 1}})
        assert [attempt.metrics for attempt in job.history] == [{"tokens": 3.0}]
        assert [attempt.metrics for attempt in self.journal()] == [{"tokens": 3.0}]
        assert self.store.notes.progress(id) is None
        assert self.store.notes.checkpoint(id) == {"row": 7}  # for the next attempt

    def test_a_done_job_is_at_100_and_has_no_checkpoint(self) -> None:
        id = self.add()
        claim = self.claim()
        self.store.notes.set_checkpoint(id, {"row": 7})

        self.store.apply([(claim, tell(complete(claim.job, None, self.run(claim)), Told(Progress(percent=40))))])

        job = self.stored(id)
        assert self.status(id) is DONE
        assert job.progress is not None
        assert job.progress.percent == 100
        assert self.store.notes.checkpoint(id) is None

    def test_a_worker_that_died_leaves_what_its_job_told(self) -> None:
        self.add()
        claim = self.claim(self.join("worker-dead"))
        self.store.notes.set_progress(claim.job.id, Progress(percent=40, metrics={"tokens": 3}))

        self.store.leave(claim.owner)
        self.store.rescue()

        job = self.stored(claim.job.id)

        assert job.progress is not None
        assert job.progress.percent == 40
        assert [attempt.metrics for attempt in job.history] == [{"tokens": 3}]
        assert self.store.notes.progress(claim.job.id) is None

    def test_a_log_is_read_from_where_the_last_look_ended(self) -> None:
        log = self.store.notes.open_log("a", "--- attempt 1 ---")
        log.write(b"one\n")
        first, position = self.store.notes.read_log("a")
        log.write(b"two\n")
        log.close()

        assert first == b"--- attempt 1 ---\none\n"
        assert self.store.notes.read_log("a", start=position) == (b"two\n", position + 4)
        assert self.store.notes.read_log("a", last=4) == (b"two\n", position + 4)
        assert self.store.notes.read_log("nobody") == (b"", 0)

    def test_items_and_artifacts_are_kept(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("text")

        self.store.notes.add_item("a", {"key": 1})
        self.store.notes.add_item("a", {"key": "two", "metrics": {"n": 1.5}})
        kept = self.store.notes.keep_artifact("a", tmp_path / "file", "copy.txt")

        assert self.store.notes.items("a") == [{"key": 1}, {"key": "two", "metrics": {"n": 1.5}}]
        assert kept["size"] == 4
        assert Path(self.store.notes.artifact_path("a", "copy.txt")).read_text() == "text"
        self.store.notes.forget("a")
        assert self.store.notes.items("a") == []

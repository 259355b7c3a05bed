"""What a handler may tell and ask for, run in this process: progress, track, checkpoint, log, metrics, follow-ups."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import JobCancelled, JobContext, Queue, Worker, constant, handler
from jobqueue.errors import InvalidJob, JobQueueError, Unsupported
from jobqueue.model.job import Job
from jobqueue.model.progress import Progress, in_words
from jobqueue.queue.config import Config
from jobqueue.queue.telling import Telling
from jobqueue.store.memory_notes import MemoryNotes
from jobqueue.testing import drain
from jobqueue.worker.capture import Tee, capture


@pytest.fixture(params=["memory", "folder"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    config = Config(durability="relaxed")
    with Queue(":memory:" if request.param == "memory" else tmp_path / "q", config=config) as made:
        yield made


Run = Callable[..., Any]


@pytest.fixture
def run(queue: Queue) -> Run:
    """Runs a function as the handler of one job, here, as often as it is to be tried; returns the job."""

    def run_it(function: Callable[..., Any], attempts: int = 1, **options: Any) -> Any:
        marked = handler("work", retry=constant(0, attempts=attempts))(function)
        job = queue.with_options(**options).enqueue("work")
        for _ in range(attempts):
            drain(queue, [marked])
        return job

    return run_it


@pytest.fixture
def ctx() -> JobContext:
    return JobContext(Job(id="1", type="work"), 1)


# -- progress


@pytest.mark.parametrize(
    ("said", "percent"),
    [((40,), 40), ((-5,), 0), ((400,), 100), ((math.inf,), 100), ((-math.inf,), 0), ((10**400,), 100), ((True + 1.5,), 2.5)],
)
def test_progress_is_0_to_100(ctx: JobContext, said: Any, percent: float) -> None:
    ctx.progress(*said)

    assert ctx.telling.now().percent == percent


@pytest.mark.parametrize(("done", "total", "percent"), [(3, 12, 25), (0, 0, 100), (5, 4, 100), (1, math.inf, 0), (-1, 4, 0)])
def test_progress_may_be_counted(ctx: JobContext, done: float, total: float, percent: float) -> None:
    ctx.progress(done, total=total)

    assert ctx.telling.now().percent == percent


def test_no_number_changes_nothing_and_what_is_none_is_refused(ctx: JobContext) -> None:
    ctx.progress(40, "loading")
    ctx.progress(math.nan)
    for value in ("40", None, True, 1j, [1]):
        with pytest.raises(InvalidJob, match="progress: .* is not a number"):
            ctx.progress(value)  # type: ignore[arg-type]

    said = ctx.telling.now()
    assert (said.percent, said.message) == (40, "loading")


def test_the_message_stays_until_another_is_given_and_is_cut(ctx: JobContext) -> None:
    ctx.progress(1, "loading\ud800")
    ctx.progress(2)
    assert ctx.telling.now().message == "loading\\ud800"

    ctx.progress(3, "x" * 5000)
    assert len(ctx.telling.now().message) == 1000


class Counting(MemoryNotes):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[float] = []

    def set_progress(self, id: str, progress: Progress) -> None:
        self.written.append(progress.percent)
        super().set_progress(id, progress)


def test_a_thousand_calls_are_a_few_writes_and_the_last_word_before_a_silence_is_seen(
    wait_until: Callable[..., Any],
) -> None:
    notes = Counting()
    telling = Telling(notes, "1", 1)
    started = time.monotonic()
    for number in range(1000):
        telling.say(number, total=1000)
    took = time.monotonic() - started

    wait_until(lambda: notes.written[-1] == pytest.approx(99.9))
    assert len(notes.written) <= 2 + took / 0.1
    telling.close()


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    def until(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    return until


def test_nothing_is_written_after_the_end() -> None:
    notes = Counting()
    telling = Telling(notes, "1", 1)
    telling.say(1)
    telling.say(2)

    told = telling.close()
    telling.say(3)
    telling.write()

    assert told.progress is not None
    assert told.progress.percent == 2
    assert notes.written == [1]


def test_a_job_that_is_done_is_at_100_and_one_that_failed_stays_where_it_was(run: Run) -> None:
    def half(ctx: JobContext) -> None:
        ctx.progress(3, "row 3", total=12)

    def fails(ctx: JobContext) -> None:
        ctx.progress(3, "row 3", total=12)
        raise ValueError

    done, failed = run(half), run(fails)

    assert (done.progress.percent, done.progress.message) == (100, "row 3")
    assert (failed.progress.percent, failed.progress.done, failed.progress.total) == (25, 3, 12)
    assert done.queue.store.notes.progress(done.id) is None


def test_who_said_nothing_has_no_progress(run: Run) -> None:
    assert run(lambda: None).progress is None


def test_a_handle_shows_the_progress_and_the_metrics_of_the_running_attempt(run: Run, queue: Queue) -> None:
    seen: list[Any] = []

    def work(ctx: JobContext) -> None:
        ctx.metric("tokens", 5)
        ctx.telling.write()
        ctx.progress(40, "loading")
        ctx.telling.write()
        seen.append((queue.get(ctx.id).progress, queue.get(ctx.id).metrics))

    job = run(work)

    (progress, metrics) = seen[0]
    assert queue.store.notes.progress(job.id) is None
    assert (progress.percent, progress.message, progress.attempt) == (40, "loading", 1)
    assert metrics == {"tokens": 5}


def test_progress_in_words() -> None:
    assert in_words(Progress(percent=40)) == "40 %"
    assert (
        in_words(Progress(percent=25, done=3, total=12, message="row 3", seconds_left=180))
        == "25 % (3 of 12), row 3, 3 min left"
    )
    assert in_words(Progress(percent=0, done=7)) == "7 done"


# -- metrics


def test_metrics_are_summed_for_each_attempt(run: Run, queue: Queue) -> None:
    def work(ctx: JobContext) -> None:
        ctx.metric("calls")
        ctx.metric("tokens", 512)
        ctx.metric("tokens", 0.5)
        if ctx.attempt == 1:
            raise ValueError

    job = run(work, attempts=2)

    expected = {"calls": 1, "tokens": 512.5}
    assert job.metrics == expected
    assert [attempt.metrics for attempt in job.history] == [expected]
    assert [attempt.metrics for attempt in queue.store.attempts()] == [expected, expected]
    job.retry()
    assert [attempt.metrics for attempt in job.history] == [expected, expected]
    assert job.metrics == {}


@pytest.mark.parametrize(
    ("name", "value"), [("x", math.nan), ("x", math.inf), ("x", "7"), ("x", True), ("", 1), (7, 1), ("x" * 201, 1)]
)
def test_a_metric_is_a_finite_number_with_a_name(ctx: JobContext, name: Any, value: Any) -> None:
    with pytest.raises(InvalidJob, match="metric"):
        ctx.metric(name, value)
    assert ctx.telling.metrics == {}


def test_metrics_of_several_threads_are_all_counted(ctx: JobContext) -> None:
    def count() -> None:
        for _ in range(2000):
            ctx.metric("n")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    told = ctx.close()
    assert told is not None
    assert told.metrics == {"n": 8000}


# -- track


def test_a_loop_goes_on_where_the_attempt_before_has_ended(run: Run) -> None:
    seen: list[tuple[int, str]] = []

    def work(ctx: JobContext) -> None:
        for item in ctx.track(["a", "b", "c", "d"], key=str):
            seen.append((ctx.attempt, item))
            if item == "c" and ctx.attempt == 1:
                raise ValueError

    job = run(work, attempts=2)

    assert seen == [(1, "a"), (1, "b"), (1, "c"), (2, "c"), (2, "d")]
    assert [(row["key"], row["attempt"]) for row in job.items()] == [("a", 1), ("b", 1), ("c", 2), ("d", 2)]
    assert (job.progress.done, job.progress.total, job.progress.percent) == (4, 4, 100)


def test_the_item_that_a_loop_was_left_at_is_not_done(run: Run) -> None:
    def work(ctx: JobContext) -> None:
        for item in ctx.track(range(10)):
            if item == 3:
                break

    assert [row["key"] for row in run(work).items()] == [0, 1, 2]


def test_a_job_that_was_done_starts_anew(run: Run, queue: Queue) -> None:
    seen: list[int] = []

    @handler("work")
    def work(ctx: JobContext) -> Any:
        before = ctx.state
        ctx.checkpoint("state")
        seen.extend(ctx.track(range(3)))
        return before

    job = run(work)
    assert queue.store.notes.checkpoint(job.id) is None  # gone with the end
    job.retry()
    queue.store.notes.set_checkpoint(job.id, {"round": 0, "state": "of a round before"})
    drain(queue, [work])

    assert seen == [0, 1, 2, 0, 1, 2]
    assert job.result() is None
    assert len(job.items()) == 3
    assert len(queue.store.notes.items(job.id)) == 6


def test_a_job_that_failed_goes_on_when_somebody_retries_it(run: Run, queue: Queue) -> None:
    seen: list[int] = []
    broken = [True]

    @handler("work")
    def work(ctx: JobContext) -> Any:
        for item in ctx.track(range(4)):
            seen.append(item)
            ctx.checkpoint({"at": item})
            if item == 2 and broken.pop() if broken else False:
                raise ValueError
        return ctx.state

    job = run(work)
    job.retry()
    drain(queue, [work])

    assert seen == [0, 1, 2, 2, 3]
    assert job.result() == {"at": 3}


Row = namedtuple("Row", ["id", "text"])


class Thing:
    def __init__(self, id: int) -> None:
        self.id = id


@pytest.mark.parametrize(
    ("items", "key"),
    [
        ([{"id": 7}, {"id": 8}], "id"),
        ([Row(7, "x"), Row(8, "y")], "id"),
        ([Thing(7), Thing(8)], "id"),
        ([(7, "x"), (8, "y")], 0),
        ([7, 8], lambda item: item),
    ],
)
def test_a_key_is_a_field_of_anything_or_a_function(ctx: JobContext, items: Any, key: Any) -> None:
    assert list(ctx.track(items, key=key)) == items
    assert [row["key"] for row in ctx.notes.items("1")] == [7, 8]
    assert list(ctx.track(items, key=key)) == []
    assert list(ctx.track(items, key=key, name="another loop")) == items


@pytest.mark.parametrize(
    ("items", "key", "message"),
    [
        ([{"id": [1]}], "id", r"key: item 0 has a list for a key; give one text or number"),
        ([{"id": math.nan}], "id", "key of item 0: nan is not a JSON number"),
        ([{"id": object()}], "id", "key of item 0: a object is not a JSON value"),
        ([{"id": "\ud800"}], "id", "key of item 0: a text with a lone surrogate"),
        ([{"id": 1}], "name", r"key: item 0 \(dict\) has no 'name'"),
        ([Thing(1)], "name", r"key: item 0 \(Thing\) has no 'name'"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused(ctx: JobContext, items: Any, key: Any, message: str) -> None:
    with pytest.raises(InvalidJob, match=message):
        list(ctx.track(items, key=key))


def test_keys_that_only_look_alike_are_told_apart_and_equal_ones_are_both_done(ctx: JobContext) -> None:
    keys: list[Any] = [1, 1.0, True, "1", None, "a", "a"]

    assert list(ctx.track(keys, key=lambda item: item)) == keys
    assert list(ctx.track([*keys, "a"], key=lambda item: item)) == ["a"]


def test_an_item_has_its_own_metrics_in_nested_loops_too(ctx: JobContext) -> None:
    for outer in ctx.track("ab", key=str, name="outer"):
        ctx.metric("n")
        for _ in ctx.track(range(2), key=lambda item, outer=outer: f"{outer}{item}", name="inner"):
            ctx.metric("n", 10)

    rows = ctx.notes.items("1")
    assert [row["metrics"] for row in rows if row["track"] == "outer"] == [{"n": 21}, {"n": 21}]
    assert [row["metrics"] for row in rows if row["track"] == "inner"] == [{"n": 10}] * 4
    assert ctx.telling.scopes == []


def test_a_loop_of_unknown_length_counts(ctx: JobContext) -> None:
    for _ in ctx.track(iter(range(5)), message="reading"):
        pass

    said = ctx.telling.now()
    assert (said.done, said.total, said.percent, said.message) == (5, None, 0, "reading")


def test_the_time_left_counts_only_what_is_not_skipped(ctx: JobContext) -> None:
    for number in range(90):
        ctx.notes.add_item("1", {"track": "items", "key": number, "round": 0})
    left: list[Any] = []
    for _ in ctx.track(range(100)):
        left.append(ctx.telling.seconds_left)
        time.sleep(0.01)

    assert left[0] is None
    assert left[1] >= 0.09  # nine items of 10 ms each
    assert left[1] > left[-1] > 0


def test_a_loop_is_a_place_to_stop_at() -> None:
    asked = [False]
    ctx = JobContext(Job(id="1", type="work"), 1, lambda: asked[0])
    seen = []
    with pytest.raises(JobCancelled):  # noqa: PT012
        for item in ctx.track(range(10)):
            seen.append(item)
            asked[0] = item == 4

    assert seen == [0, 1, 2, 3, 4]
    assert len(ctx.notes.items("1")) == 5


# -- the log


def test_what_a_job_prints_and_logs_is_in_its_log_and_where_it_went_before(
    run: Run, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def work(ctx: JobContext) -> None:
        print("printed")
        sys.stderr.write("to stderr\n")
        ctx.log("read %d rows", 7)
        ctx.log.warning("careful")
        logging.getLogger("library").warning("of a library")
        print("no line end", end="")

    caplog.set_level(logging.INFO)
    job = run(work)
    print("after the job")

    lines = job.log().splitlines()
    assert lines[0].startswith("--- attempt 1, 20")
    assert [line.split(" ", 1)[1] if line[2] == ":" else line for line in lines[1:]] == [
        "printed",
        "to stderr",
        "INFO jobqueue.job: read 7 rows",
        "WARNING jobqueue.job: careful",
        "WARNING library: of a library",
        "no line end",
    ]
    seen = capsys.readouterr()
    assert seen.out == "printed\nno line endafter the job\n"
    assert seen.err == "to stderr\n"
    assert "read 7 rows" in caplog.text
    [record] = [record for record in caplog.records if record.message == "read 7 rows"]
    assert (record.job, record.attempt, record.funcName) == (job.id, 1, "work")  # type: ignore[attr-defined]


def test_jobs_in_threads_are_kept_apart(queue: Queue) -> None:
    barrier = threading.Barrier(2)

    @handler
    def speak(word: str) -> None:
        for _ in range(20):
            barrier.wait(30)
            print(word)

    jobs = [queue.enqueue("speak", {"word": word}) for word in ("one", "two")]
    Worker(queue, [speak], executor="thread", concurrency=2).run(drain=True)

    assert [set(job.log().splitlines()[1:]) for job in jobs] == [{"one"}, {"two"}]
    assert [len(job.log(20).splitlines()) for job in jobs] == [20, 20]


def test_the_streams_are_put_back_when_the_last_worker_has_ended(queue: Queue) -> None:
    before, handlers = (sys.stdout, sys.stderr), list(logging.root.handlers)
    with Worker(queue, [], executor="thread"):
        assert isinstance(sys.stdout, Tee)
        with Worker(queue, []):
            assert not isinstance(sys.stdout.stream, Tee)
        assert isinstance(sys.stdout, Tee)

    assert ((sys.stdout, sys.stderr), logging.root.handlers) == (before, handlers)


def test_a_stream_that_somebody_else_put_in_place_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    capture.start()
    kept = sys.stdout
    sys.stdout = sys.__stdout__
    capture.stop()
    assert sys.stdout is sys.__stdout__

    sys.stdout = kept  # as contextlib.redirect_stdout would at its end
    capture.start()
    assert isinstance(sys.stdout, Tee)
    assert not isinstance(sys.stdout.stream, Tee)
    capture.stop()


def test_a_handler_that_logs_through_our_stream_is_heard_once(run: Run) -> None:
    def work() -> None:
        stream = logging.StreamHandler()
        logging.root.addHandler(stream)
        try:
            logging.getLogger("library").warning("once")
        finally:
            logging.root.removeHandler(stream)

    assert run(work).log().count("once") == 1


LEVELS = ("debug", "info", "warning", "error")


def speak_up(ctx: JobContext) -> None:
    for level in LEVELS:
        getattr(ctx.log, level)("said %s", level)
        getattr(logging.getLogger("library.deep"), level)("told %s", level)


def heard(job: Any) -> list[str]:
    return [line.split(": ")[1] for line in job.log().splitlines()[1:]]


@pytest.fixture
def at_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a program is that has set up nothing, and none of pytest's own handlers."""
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    monkeypatch.setattr(logging.root, "handlers", [])


@pytest.mark.parametrize("level", LEVELS)
def test_a_job_says_how_much_of_logging_goes_into_its_log(at_warning: None, run: Run, level: str) -> None:
    job = run(speak_up, log_level=level)

    assert heard(job) == [f"{said} {word}" for word in LEVELS[LEVELS.index(level) :] for said in ("said", "told")]
    assert logging.root.level == logging.WARNING


def test_without_a_level_it_is_that_of_the_process_and_info_for_the_context(at_warning: None, run: Run) -> None:
    assert heard(run(speak_up)) == ["said info", "said warning", "told warning", "said error", "told error"]


def test_a_handler_may_set_its_own_level_and_that_of_the_process(at_warning: None, run: Run) -> None:
    def work(ctx: JobContext) -> None:
        ctx.log.setLevel("DEBUG")
        assert ctx.log.getEffectiveLevel() == logging.DEBUG
        ctx.log.debug("said debug")
        logging.root.setLevel(logging.ERROR)

    assert heard(run(work)) == ["said debug"]
    assert heard(run(speak_up)) == ["said info", "said warning", "said error", "told error"]
    logging.root.setLevel(logging.WARNING)
    run(work, log_level="debug")
    assert logging.root.level == logging.ERROR


def test_a_talkative_job_makes_nobody_beside_it_talk(at_warning: None, queue: Queue) -> None:
    barrier = threading.Barrier(3)

    @handler
    def work(ctx: JobContext) -> None:
        barrier.wait(30)
        speak_up(ctx)
        logging.getLogger("own").info("own info")
        barrier.wait(30)

    logging.getLogger("own").setLevel(logging.INFO)
    levels = ("debug", None, "error")
    jobs = [queue.with_options(log_level=level).enqueue("work") for level in levels]
    Worker(queue, [work], executor="thread", concurrency=3).run(drain=True)

    everything = [f"{said} {word}" for word in LEVELS for said in ("said", "told")]
    assert heard(jobs[0]) == [*everything, "own info"]
    assert heard(jobs[1]) == ["said info", "said warning", "told warning", "said error", "told error", "own info"]
    assert heard(jobs[2]) == ["said error", "told error"]
    assert logging.root.level == logging.WARNING


def test_the_tail_of_a_log_and_following_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def work(ctx: JobContext) -> None:
        for number in range(300):
            ctx.output.write(f"line {number}\n")

    job = run(work)
    capsys.readouterr()

    assert job.log(2) == "line 298\nline 299\n"
    assert len(job.log().splitlines()) == 200
    assert len(job.log(None).splitlines()) == 301
    job.follow(tail=1)
    said = capsys.readouterr().out.splitlines()
    assert (said[0], said[1][:5], len(said)) == ("line 299", "Done ", 2)


# -- what it keeps, and what follows


def test_a_checkpoint_is_found_by_the_next_attempt_and_goes_when_the_job_is_done(run: Run, queue: Queue) -> None:
    seen: list[Any] = []

    def work(ctx: JobContext) -> None:
        seen.append(ctx.state)
        if ctx.attempt < 3:
            ctx.checkpoint({"cursor": ctx.attempt})
            assert ctx.state == {"cursor": ctx.attempt}
            raise ValueError

    job = run(work, attempts=3)

    assert seen == [None, {"cursor": 1}, {"cursor": 2}]
    assert queue.store.notes.checkpoint(job.id) is None


def test_artifacts_are_copies_that_the_job_names(run: Run, tmp_path: Path) -> None:
    def work(ctx: JobContext) -> None:
        report = tmp_path / "report.txt"
        report.write_text(f"attempt {ctx.attempt}")
        ctx.artifact(report)
        ctx.artifact(str(report), "copy.txt")
        report.unlink()
        if ctx.attempt == 1:
            raise ValueError

    job = run(work, attempts=2)

    assert {name: entry["size"] for name, entry in job.artifacts.items()} == {"report.txt": 9, "copy.txt": 9}
    assert Path(job.artifacts["report.txt"]["path"]).read_text() == "attempt 2"


def test_a_follow_up_belongs_to_the_project_and_batch_of_its_job(run: Run, queue: Queue) -> None:
    @handler
    def embed(text: str) -> str:
        return text

    def work(ctx: JobContext) -> list[str]:
        first = ctx.enqueue("embed", {"text": "a"}, delay="1h")
        second = ctx.enqueue("embed", {"text": "b"}, project="other", delay="1h")
        third = ctx.queue.with_options(priority="low", delay="1h").enqueue("embed", {"text": "c"})
        return [first.id, second.id, third.id]

    job = run(work, project="p1", batch="b1")

    records = [queue.get(id).record for id in job.result()]
    assert [(one.project, one.batch, one.priority) for one in records] == [
        ("p1", "b1", 10),
        ("other", "b1", 10),
        ("p1", "b1", 20),
    ]


def test_a_context_made_by_hand_works_without_a_queue(ctx: JobContext) -> None:
    ctx.checkpoint({"a": 1})
    ctx.log("hello")

    assert ctx.state == {"a": 1}
    assert list(ctx.track("ab")) == ["a", "b"]
    with pytest.raises(Unsupported, match="there is no queue here"):
        ctx.enqueue("scan")
    assert isinstance(Unsupported(), JobQueueError)


def test_a_handler_that_tells_nothing_costs_nothing(ctx: JobContext) -> None:
    assert ctx.close() is None
    assert ctx.made == {}


# -- finding it again


def test_the_last_job_is_the_one_that_was_made_last(queue: Queue) -> None:
    made = [queue.enqueue("a"), queue.enqueue("b", priority="urgent"), queue.enqueue("a", delay="1h"), queue.enqueue("b")]
    early = queue.enqueue("c", delay="1h")
    late = queue.enqueue("c")
    named = queue.enqueue("d", id="by-hand")

    assert queue.last() == named
    assert (queue.last("a"), queue.last("b"), queue.last("c")) == (made[2], made[3], late)
    queue.delete(late)
    assert queue.last("c") == early
    with pytest.raises(JobQueueError, match="last x"):
        queue.last("x")


@pytest.mark.parametrize("progress", [40, "half", None, [], {"percent": 1e9}, {"percent": "x"}, {"done": 1}, True])
def test_a_forged_progress_is_no_reason_to_refuse_a_file(tmp_path: Path, progress: Any) -> None:
    import json

    config = Config(durability="relaxed", settle_time=0)
    with Queue(tmp_path / "q", config=config) as queue:
        for name, more in (("theirs", {}), ("ours", {"written_by": "worker-1", "id": "ours"})):
            body = json.dumps({"type": "work", "progress": progress, **more})
            (tmp_path / "q/pending" / f"{name}.json").write_text(body)
            assert queue.get(name).progress is None
        handled = handler("work")(lambda: None)
        Worker(queue, [handled]).run(drain=True)

        assert queue.stats().done == 2

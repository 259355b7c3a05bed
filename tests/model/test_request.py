from datetime import datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.errors import InvalidJob, NotJSON, UnreadableJob
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.model.request import OPTIONS, PARSERS, camel, describe, nearest, read_options, read_record
from jobqueue.model.retry import Backoff
from jobqueue.model.times import parse_duration

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)

GOOD = {
    "type": ("scan", "scan"),
    "payload": ({"url": "x"}, {"url": "x"}),
    "name": ("the-first", "the-first"),
    "priority": ("urgent", 0),
    "run_after": ("2026-11-22T12:00:00Z", NOON),
    "expires_at": ("2026-11-22T13:00:00+01:00", NOON),
    "max_attempts": (5, 5),
    "max_crashes": (1, 1),
    "backoff": (["1s", "5s"], Backoff(steps=(1.0, 5.0), jitter=0.0)),
    "timeout": ("10m", 600.0),
    "after": (["a", "b"], ("a", "b")),
    "on_parent_failure": ("run", "run"),
    "idempotency_key": ("export-7", "export-7"),
    "key_scope": ("24h", "24h"),
    "concurrency_key": ("repo", "repo"),
    "on_conflict": ("reject", "reject"),
    "pipeline_version": ("parser-1.2/cards-v1", "parser-1.2/cards-v1"),
    "project": (7, "7"),
    "batch": ("b1", "b1"),
    "redo_of": ({"batch": "b1", "row": 3}, {"batch": "b1", "row": 3}),
    "row": ({"number": 3, "run": "r1"}, {"number": 3, "run": "r1"}),
    "run_id": (42, 42),
    "tags": (["a", "b", "a"], ("a", "b")),
    "force": (True, True),
    "log_level": ("DEBUG", "debug"),
    "created_at": ("2026-11-22T12:00:00Z", NOON),
}
"""For each field that a file may give: how it is written, and what it becomes."""


def read(id="drop", **record):
    return read_record(id, {"type": "scan"} | record)


# -- dropped files


def test_a_type_is_enough():
    job = read_record("drop", {"type": "scan"})

    assert job == Job(id="drop", type="scan")
    assert (job.priority, job.most_attempts, job.payload) == (10, 3, {})


def test_every_field_has_an_example_here():
    assert GOOD.keys() == PARSERS.keys()


@pytest.mark.parametrize("spell", [str, camel])
@pytest.mark.parametrize("field", GOOD)
def test_a_field_is_read_in_snake_and_in_camel_case(field, spell):
    written, meant = GOOD[field]

    job = read(**{spell(field): written})

    assert getattr(job, field) == meant
    assert job.extra == {}


def test_all_fields_at_once():
    job = read_record("drop", {camel(field): written for field, (written, _) in GOOD.items()})

    assert {field: getattr(job, field) for field in GOOD} == {field: meant for field, (_, meant) in GOOD.items()}


@pytest.mark.parametrize(
    ("theirs", "ours", "written", "meant"),
    [
        ("data", "payload", {"a": 1}, {"a": 1}),
        ("maxRetries", "max_attempts", 3, 4),
        ("max_retries", "max_attempts", 0, 1),
        ("projectId", "project", "p1", "p1"),
        ("project_id", "project", 12, "12"),
        ("batchId", "batch", "b1", "b1"),
        ("scanId", "run_id", 1, 1),
        ("runId", "run_id", "r-1", "r-1"),
    ],
)
def test_other_systems_names_are_read(theirs, ours, written, meant):
    job = read(**{theirs: written})

    assert getattr(job, ours) == meant
    assert job.extra == {}


@pytest.mark.parametrize(("name", "number"), [("urgent", 0), ("high", 5), ("Normal", 10), ("LOW", 20), (0, 0), (99, 99)])
def test_a_priority_is_a_number_or_a_name(name, number):
    assert read(priority=name).priority == number


def test_a_name_may_stand_in_the_payload():
    assert read(payload={"name": "inside"}).name == "inside"
    assert read(payload={"name": "inside"}, name="outside").name == "outside"
    assert read(payload={"name": 7}).name is None
    assert read(payload={"name": "x" * 1001}).name is None


def test_the_file_gives_the_id_and_its_folder_the_status():
    job = read(id="drop", jobId="theirs", status="completed")

    assert (job.id, job.extra) == ("drop", {})


def test_null_is_the_same_as_left_out():
    assert read_record("drop", {"type": "scan"} | dict.fromkeys(GOOD.keys() - {"type"})) == read()
    assert read(maxRetries=None, data=None) == read()


def test_keys_inside_the_payload_are_never_renamed():
    payload = {"maxRetries": 1, "projectId": 2, "data": 3, "runAfter": 4}

    assert read(payload=payload).payload == payload


def test_unknown_keys_are_kept():
    assert read(theirs=1, andTheirs=[2]).extra == {"theirs": 1, "andTheirs": [2]}
    assert read(extra={"old": 1}, new=2).extra == {"old": 1, "new": 2}


@pytest.mark.parametrize(
    ("first", "second"), [("payload", "data"), ("project", "projectId"), ("runId", "scanId"), ("runAfter", "run_after")]
)
def test_a_field_given_under_two_names_is_refused(first, second):
    values = {"payload": {}, "data": {}, "runAfter": "2026-11-22T12:00:00Z", "run_after": "2026-11-22T12:00:00Z"}

    with pytest.raises(UnreadableJob, match="given twice, also under another name"):
        read(**{first: values.get(first, 1), second: values.get(second, 2)})


BAD = [
    ("type", "", "type: '' is not a type; give the name of a handler"),
    ("type", "   ", "is not a type"),
    ("type", 7, "type: 7 is not a type"),
    ("type", ["scan"], "is not a type"),
    ("type", "x" * 20_001, "type: 20001 characters are too many"),
    ("type", "\ud800", "lone surrogate"),
    ("payload", [1], "payload: a list is not a payload; give a JSON object"),
    ("payload", "x", "payload: a str is not a payload"),
    ("name", 7, "name: 7 is not a text"),
    ("name", "", "name: '' is not a text"),
    ("name", "x" * 1001, "name: 1001 characters are too many (at most 1000)"),
    ("priority", 100, "priority: 100 is out of range; give 0 to 99"),
    ("priority", -1, "priority: -1 is out of range"),
    ("priority", True, "priority: True is not a priority"),
    ("priority", 1.5, "priority: 1.5 is not a priority"),
    ("priority", "asap", "priority: 'asap' is not a priority; give 0 to 99 (lower runs first) or urgent, high"),
    ("run_after", "tomorrow", "run_after: cannot read 'tomorrow'"),
    ("run_after", "2026-11-22T12:00:00", "run_after: 2026-11-22T12:00:00 has no time zone"),
    ("run_after", 1700000000, "run_after: 1700000000 is not a time"),
    ("expires_at", "10m", "expires_at: cannot read '10m'"),
    ("created_at", 0, "created_at: 0 is not a time"),
    ("max_attempts", 0, "max_attempts: 0 is out of range"),
    ("max_crashes", 0, "max_crashes: 0 is out of range"),
    ("max_crashes", True, "max_crashes: True is not a whole number"),
    ("max_attempts", "3", "max_attempts: '3' is not a whole number"),
    ("max_retries", -1, "max_retries: -1 is not a number of retries; give 0 (never retried) to 999"),
    ("max_retries", 1000, "max_retries: 1000 is not a number of retries"),
    ("max_retries", "x", "max_retries: 'x' is not a number of retries"),
    ("max_retries", True, "max_retries: True is not a number of retries"),
    ("backoff", {"bsae": 1}, "backoff: unknown key 'bsae'"),
    ("timeout", 0, "timeout: 0 leaves no time to run"),
    ("timeout", -1, "timeout: -1 is negative"),
    ("timeout", "long", "timeout: cannot read 'long'"),
    ("after", 7, "after: 7 are not jobs"),
    ("after", ["a", 7], "after[1]: 7 is not a text"),
    ("on_parent_failure", "ignore", "on_parent_failure: 'ignore' is unknown; give one of skip, run, fail"),
    ("idempotency_key", 7, "idempotency_key: a int is not a key"),
    ("key_scope", "forever", "key_scope: 'forever' is unknown; give \"exists\""),
    ("key_scope", [], "key_scope: [] is unknown"),
    ("concurrency_key", "", "concurrency_key: '' is not a text"),
    ("on_conflict", "fight", "on_conflict: 'fight' is unknown; give one of wait, reject, supersede"),
    ("log_level", "loud", "log_level: 'loud' is unknown; give one of debug, info, warning, error"),
    ("log_level", 10, "log_level: 10 is unknown; give one of debug"),
    ("pipeline_version", 2, "pipeline_version: 2 is not a text"),
    ("project", 1.5, "project: 1.5 is not a text"),
    ("batch", True, "batch: True is not a text"),
    ("run_id", [1], "run_id: [1] is not a text"),
    ("redo_of", {"a": "\ud800"}, "redo_of.a: a text with a lone surrogate"),
    ("force", "yes", "force: 'yes' is neither true nor false"),
    ("row", {"number": float("nan")}, "row.number: nan is not a JSON number"),
    ("tags", 7, "tags: 7 are not tags; give a list of at most 100 texts"),
    ("tags", ["a", 7], "tags[1]: 7 is not a text"),
    ("tags", ["x"] * 101, "are not tags"),
]


@pytest.mark.parametrize(("field", "value", "message"), BAD)
def test_a_bad_field_is_refused_with_its_name_and_the_fix(field, value, message):
    with pytest.raises(UnreadableJob) as caught:
        read(**{field: value})

    assert message in str(caught.value)
    assert str(caught.value).startswith(field)


def test_every_field_has_a_bad_example_here():
    assert {field for field, _, _ in BAD} >= PARSERS.keys()


@pytest.mark.parametrize(("document", "kind"), [([], "list"), ("scan", "str"), (None, "NoneType"), (7, "int")])
def test_a_file_holds_one_object(document, kind):
    with pytest.raises(UnreadableJob, match=f"not a JSON object but a {kind}; a job looks like"):
        read_record("drop", document)


def test_a_missing_type_is_told_with_what_may_have_been_meant():
    with pytest.raises(UnreadableJob, match=r"^type: missing; .*; is 'tpye' meant\?$"):
        read_record("drop", {"tpye": "scan"})
    with pytest.raises(UnreadableJob, match=r"^type: missing; it is the one field that a job must have$"):
        read_record("drop", {"type": None})


def test_a_file_cannot_carry_a_delay():
    with pytest.raises(UnreadableJob, match="delay: a file cannot carry a delay; write run_after"):
        read(delay="10m")


# -- who may say what became of a job

OUTCOME = {
    "attempts": 2,
    "error": {"message": "boom"},
    "result": 7,
    "finishedAt": "2026-11-22T12:00:00Z",
    "lockedBy": "worker-1",
    "history": [{"number": 1, "outcome": "failed"}],
}


@pytest.mark.parametrize("id", ["drop", "other"])
def test_a_foreign_file_asks_for_a_job_and_reports_none(id):
    assert read_record("drop", {"id": id, "type": "scan"} | OUTCOME) == read()


def test_a_file_that_this_package_wrote_is_taken_as_it_is():
    job = Job(
        id="10-x",
        type="scan",
        payload={"a": [1]},
        tags=("a",),
        backoff=Backoff(base=1.0),
        created_at=NOON,
        attempts=2,
        finished_at=NOON,
        error=Failure(message="boom"),
        history=(Attempt(number=1, outcome="failed", claimed_at=NOON),),
        written_by="worker-1",
        extra={"theirs": 1},
    )

    assert read_record("10-x", msgspec.to_builtins(job)) == job
    assert read_record("renamed", msgspec.to_builtins(job)) == msgspec.structs.replace(job, id="renamed")


def test_a_fresh_file_of_this_package_is_taken_as_it_is():
    job = Job(id="10-x", type="scan", payload={"name": "inside"}, created_at=NOON, extra={"theirs": 1})

    assert read_record("10-x", msgspec.to_builtins(job)) == job


def test_outcomes_are_read_under_other_names_too_where_they_are_trusted():
    job = read(written_by="worker-1", lastError="boom", completedAt="2026-11-22T12:00:00Z", lockedAt="2026-11-22T11:00:00Z")

    assert (job.error, job.finished_at, job.claimed_at) == (Failure(message="boom"), NOON, NOON - timedelta(hours=1))


def test_of_a_trusted_file_only_what_has_the_right_type_is_kept():
    job = read(written_by="worker-1", attempts=-1, history="none", result=[1], locked_by="worker-1")

    assert (job.attempts, job.history, job.result, job.locked_by) == (0, (), [1], "worker-1")


@pytest.mark.parametrize(
    ("field", "value"), [("priority", 100), ("run_after", "2026-11-22T12:00:00"), ("backoff", {"base": 1e300}), ("timeout", -1)]
)
@pytest.mark.parametrize("mark", [{"id": "drop"}, {"written_by": "worker-1"}])
def test_a_bad_field_is_refused_whoever_the_file_says_it_is_from(mark, field, value):
    with pytest.raises(UnreadableJob, match=f"^{field}"):
        read(**mark, **{field: value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from([*Job.__struct_fields__, *map(camel, Job.__struct_fields__), "data", "maxRetries", "status", "x"])


@given(st.dictionaries(KEYS, JSON, max_size=6), st.booleans())
def test_no_document_does_worse_than_being_unreadable(record, typed):
    try:
        job = read_record("drop", record | ({"type": "scan"} if typed else {}))
    except UnreadableJob:
        return
    assert job.id == "drop"
    assert msgspec.convert(msgspec.to_builtins(job), Job) == job


# -- the options of enqueue


def test_options_become_fields():
    options = {field: written for field, (written, _) in GOOD.items() if field not in ("type", "payload", "created_at")}

    assert read_options(options, NOON) == {field: GOOD[field][1] for field in options}


def test_none_is_no_option():
    assert read_options({"priority": None, "delay": None, "max_retries": None, "key_scope": None}, NOON) == {}


def test_delay_and_expires_in_count_from_now():
    given = read_options({"delay": "10m", "expires_in": timedelta(hours=1)}, NOON)

    assert given == {"run_after": NOON + timedelta(minutes=10), "expires_at": NOON + timedelta(hours=1)}


def test_retries_are_attempts_less_one():
    assert read_options({"max_retries": 0}, NOON) == {"max_attempts": 1}
    assert read_options({"max_retries": 3}, NOON) == {"max_attempts": 4}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"prioritty": 1},
            "prioritty: not an option (did you mean 'priority'?); a handler's own arguments go into the payload",
        ),
        ({"url": "x"}, "url: not an option; "),
        ({"type": "x"}, "type: not an option"),
        ({"delay": "1m", "run_after": NOON}, "delay: given together with run_after; give one of the two"),
        ({"expires_in": "1m", "expires_at": NOON}, "expires_in: given together with expires_at"),
        ({"max_retries": 1, "max_attempts": 2}, "max_retries: given together with max_attempts"),
        ({"key_scope": "24h"}, "key_scope: given without idempotency_key"),
        ({"delay": "soon"}, "delay: cannot read 'soon'"),
        ({"delay": -1}, "delay: -1 is negative"),
        ({"expires_in": "36526d"}, "expires_in: '36526d' is longer than 100 years"),
        ({"max_retries": -1}, "max_retries: -1 is not a number of retries"),
        ({"run_after": datetime(2026, 11, 22, 12)}, "run_after: 2026-11-22T12:00:00 has no time zone"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name_and_the_fix(options, message):
    with pytest.raises(InvalidJob) as caught:
        read_options(options, NOON)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("field", "value", "message"), [bad for bad in BAD if bad[0] in OPTIONS])
def test_options_are_checked_like_files(field, value, message):
    with pytest.raises(InvalidJob) as caught:
        read_options({field: value}, NOON)

    assert message in str(caught.value)


def test_python_values_are_taken_where_a_file_has_texts():
    class Handle:
        id = "parent"

    given = read_options(
        {
            "run_after": NOON.astimezone(timezone(timedelta(hours=9))),
            "timeout": timedelta(minutes=1),
            "after": Handle(),
            "tags": "nightly",
            "idempotency_key": "k",
            "key_scope": timedelta(days=1),
        },
        NOON,
    )

    assert given["run_after"] == NOON
    assert (given["timeout"], given["after"], given["tags"]) == (60.0, ("parent",), ("nightly",))
    assert parse_duration(given["key_scope"]) == timedelta(days=1)


@given(st.integers(0, 36525 * 86400))
def test_a_key_scope_in_seconds_stays_readable(seconds):
    given = read_options({"idempotency_key": "k", "key_scope": seconds}, NOON)

    assert parse_duration(given["key_scope"]) == timedelta(seconds=seconds)


def test_a_payload_that_is_no_json_is_refused_by_its_path():
    with pytest.raises(NotJSON, match=r"^payload.rows\[1\]: a set is not a JSON value; write sorted"):
        PARSERS["payload"]({"rows": [1, {2}]}, "payload")


# -- words


@pytest.mark.parametrize(
    ("snake", "written"), [("type", "type"), ("run_after", "runAfter"), ("on_parent_failure", "onParentFailure")]
)
def test_camel(snake, written):
    assert camel(snake) == written


def test_nearest_hints_only_where_something_is_near():
    assert nearest("prioritty", PARSERS) == " (did you mean 'priority'?)"
    assert nearest("zzz", PARSERS) == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [(None, ""), ("  ", ""), ("boom\nTraceback ...", "boom"), (Failure(message="\nboom\nmore"), "boom"), (Failure(), "")],
)
def test_describe_is_one_line(error, line):
    assert describe(error) == line

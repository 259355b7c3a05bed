"""Handlers: the mark, what a call means, what a worker finds."""

from __future__ import annotations

import enum
import functools
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Optional

import msgspec
import pytest

from jobqueue.errors import HandlerError, HandlerNotImportable, InvalidJob, NotJSON
from jobqueue.model.retry import RetryPolicy, constant, exponential
from jobqueue.queue.handler import handler, handler_of, require_importable
from jobqueue.queue.registry import Registry
from jobqueue.queue.signature import check_call, check_result, convert_payload

if TYPE_CHECKING:
    from nowhere import Unseen

    from jobqueue.queue.context import JobContext


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


class Box(msgspec.Struct):
    corner: Point
    inner: Box | None = None


class Stranger:
    """A class that msgspec knows nothing of."""


@handler
def fetch(url: str, depth: int = 1, *, tags: list[str] | None = None) -> dict[str, int]:
    return {"size": len(url) * depth}


@handler(type="big.scan", retry=exponential(attempts=5), timeout="10m", pipeline_version="v2")
def scan(repo, ctx):
    return None


@handler
def rich(
    when: datetime,
    point: Point,
    box: Box | None = None,
    color: Color = Color.RED,
    path: Path | None = None,
    points: list[Point] = [],  # noqa: B006
    sizes: dict[int, float] | None = None,
    names: set[str] = frozenset(),  # type: ignore[assignment]
) -> Point:
    return point


@handler
def anything(first: Any, context: Optional[JobContext] = None, **more: int) -> Any:  # noqa: UP045
    return more


@handler
def strange(a: Stranger, b: Unseen, c: Callable[[], int], d: "list[Unseen]") -> Stranger:  # noqa: UP037
    return a


@handler
def small(n: Annotated[int, msgspec.Meta(le=3)], implied: int = None) -> list[int]:  # type: ignore[assignment]  # noqa: RUF013
    return [n]


@handler
def nothing() -> None:
    pass


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidJob) as caught:
        check_call(function, args, kwargs)
    return str(caught.value)


class TestMark:
    def test_the_function_stays_what_it_was(self) -> None:
        def plain(n: int) -> int:
            return n + 1

        assert handler(plain) is plain
        assert handler(type="other")(plain) is plain
        assert plain(1) == 2

    def test_the_type_is_the_name_unless_given(self) -> None:
        assert handler_of(fetch).type == "fetch"
        assert handler_of(scan).type == "big.scan"

        @handler("by position")
        def given() -> None: ...

        assert handler_of(given).type == "by position"

    def test_what_was_said_is_kept(self) -> None:
        marked = handler_of(scan)
        assert marked.policy == RetryPolicy(attempts=5)
        assert (marked.timeout, marked.pipeline_version) == (600.0, "v2")
        assert handler_of(fetch).policy == RetryPolicy()
        assert handler_of(fetch).timeout is None

    def test_a_new_mark_replaces_the_old_one(self) -> None:
        def plain() -> None: ...

        assert handler_of(handler(plain)).policy.attempts == 3
        assert handler_of(handler(retry=constant(1, attempts=9))(plain)).policy.attempts == 9

    def test_a_decorated_function_shows_its_own_signature(self) -> None:
        @handler
        @functools.wraps(fetch)
        def timed(*args: Any, **kwargs: Any) -> Any:
            return fetch(*args, **kwargs)

        assert check_call(timed, ("u",), {}) == {"url": "u"}
        assert "missing" in refusal(timed)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"type": ""}, "work: type: '' is not a type; give the name of a handler as a text, like \"scan\""),
            ({"retry": 3}, "work: retry: 3 is not a retry policy; write retry=exponential(attempts=3) or constant(...)"),
            ({"timeout": 0}, "work: timeout: 0 leaves no time to run; leave it out for no limit"),
            ({"timeout": "soon"}, 'work: timeout: cannot read \'soon\'; write "30s", "10m", "1h30m" or "7d"'),
            ({"pipeline_version": 2}, "work: pipeline_version: 2 is not a text"),
        ],
    )
    def test_wrong_options(self, options: dict[str, Any], message: str) -> None:
        def work() -> None: ...

        with pytest.raises(HandlerError) as caught:
            handler(**options)(work)
        assert str(caught.value) == message

    def test_what_cannot_be_a_handler(self) -> None:
        def stars(*rows: int) -> None: ...
        def slash(a: int, /) -> None: ...
        async def later() -> None: ...
        def many() -> Iterator[int]:
            yield 1

        def two(a: JobContext, b: JobContext) -> None: ...

        for function, message in [
            (stars, "stars: takes *rows, but a payload has names only; write out its parameters"),
            (slash, "slash: takes 'a' by position only, but a payload has names only; drop the '/'"),
            (later, "later: an async function; write a plain def, and asyncio.run(...) inside it"),
            (many, "many: a generator; return the result, as a list for instance"),
            (two, "two: two parameters are annotated JobContext; keep one"),
            (Point, "Point: not a function; write @handler above a def"),
            (len, "len: not a function; write @handler above a def"),
        ]:
            with pytest.raises(HandlerError) as caught:
                handler(function)
            assert str(caught.value) == message

    def test_a_function_without_a_mark(self) -> None:
        def plain() -> None: ...

        with pytest.raises(HandlerError, match="plain: not a handler; write @handler above its def"):
            handler_of(plain)


class TestContext:
    def test_by_annotation_by_name_or_not_at_all(self) -> None:
        def bare(job: JobContext) -> None: ...
        def text(job: "JobContext | None" = None) -> None: ...  # noqa: UP037

        real = type("JobContext", (), {})

        def objects(job: Any = None) -> None: ...

        objects.__annotations__["job"] = Optional[real]  # noqa: UP045
        assert [handler_of(handler(f)).takes_context for f in (bare, text, objects)] == ["job", "job", "job"]
        assert handler_of(anything).takes_context == "context"
        assert handler_of(scan).takes_context == "ctx"
        assert handler_of(fetch).takes_context is None

    def test_it_is_no_part_of_the_payload(self) -> None:
        assert check_call(scan, ("octo/cat",), {}) == {"repo": "octo/cat"}
        assert refusal(scan, repo="r", ctx=1) == "big.scan: 'ctx' is filled in by the worker; leave it out"
        assert refusal(scan, "r", 1) == "big.scan: 2 arguments given by position, it takes 1 (repo)"


class TestCall:
    def test_positions_become_names(self) -> None:
        assert check_call(fetch, ("u", 2), {"tags": ["a"]}) == {"url": "u", "depth": 2, "tags": ["a"]}

    def test_defaults_stay_out_of_the_payload(self) -> None:
        assert check_call(fetch, (), {"url": "u"}) == {"url": "u"}

    def test_the_callers_values_are_left_alone(self) -> None:
        given = {"when": datetime(2026, 1, 1, tzinfo=timezone.utc), "point": Point(1)}
        before = dict(given)
        check_call(rich, (), given)
        assert given == before

    def test_any_key_for_open_handlers(self) -> None:
        assert check_call(anything, (None,), {"x": 1, "y": "b"}) == {"first": None, "x": 1, "y": "b"}
        assert refusal(anything, 1, x=Stranger()).startswith("payload.x: a ")

    def test_no_arguments(self) -> None:
        assert check_call(nothing, (), {}) == {}
        assert refusal(nothing, 1) == "nothing: 1 argument given by position, it takes none"
        assert refusal(nothing, a=1) == "nothing: no argument 'a'; it takes no arguments"

    @pytest.mark.parametrize(
        ("function", "args", "kwargs", "message"),
        [
            (fetch, (), {}, "fetch: missing argument 'url'; it takes url, depth, tags"),
            (
                rich,
                (),
                {},
                "rich: missing arguments 'when', 'point'; it takes when, point, box, color, path, points, sizes, names",
            ),
            (fetch, (), {"ulr": "u"}, "fetch: no argument 'ulr' (did you mean 'url'?); it takes url, depth, tags"),
            (fetch, ("u",), {"url": "u"}, "fetch: the argument 'url' is given twice, by position and by name"),
            (fetch, ("u", 1, []), {}, "fetch: 3 arguments given by position, it takes 2 (url, depth)"),
            (fetch, ("u", "2"), {}, "fetch: payload.depth: expected int, got str"),
            (fetch, ("u", True), {}, "fetch: payload.depth: expected int, got bool"),
            (fetch, ("u", 1.5), {}, "fetch: payload.depth: expected int, got float"),
            (fetch, (None,), {}, "fetch: payload.url: expected str, got None"),
            (fetch, ("u",), {"tags": ["a", "b", 3]}, "fetch: payload.tags[2]: expected str, got int"),
            (small, (4,), {}, "small: payload.n: expected int <= 3"),
            (rich, ("2026-01-01", {"x": 1}), {}, "rich: payload.when: invalid RFC3339 encoded datetime"),
            (rich, ("2026-01-01T00:00:00Z", {}), {}, "rich: payload.point: object missing required field x"),
            (rich, ("2026-01-01T00:00:00Z", Point("1")), {}, "rich: payload.point.x: expected int, got str"),
            (
                rich,
                ("2026-01-01T00:00:00Z", Point(1)),
                {"box": {"corner": {"x": 1}, "inner": {"corner": 1}}},
                "rich: payload.box.inner.corner: expected object, got int",
            ),
            (rich, ("2026-01-01T00:00:00Z", Point(1)), {"path": 3}, "rich: payload.path: expected str, got int"),
            (
                rich,
                ("2026-01-01T00:00:00Z", Point(1)),
                {"sizes": {"a": 1}},
                "rich: payload.sizes (a key): expected int, got str",
            ),
        ],
    )
    def test_what_is_wrong_is_said(self, function: Any, args: Any, kwargs: Any, message: str) -> None:
        assert refusal(function, *args, **kwargs) == message

    def test_only_annotated_values_become_json(self) -> None:
        assert check_call(
            rich,
            (datetime(2026, 1, 1, tzinfo=timezone.utc), Point(1)),
            {
                "box": Box(Point(2)),
                "color": Color.RED,
                "path": Path("/a/b"),
                "points": [Point(3), {"x": 4}],
                "sizes": {1: 0.5},
                "names": {"a"},
            },
        ) == {
            "when": "2026-01-01T00:00:00Z",
            "point": {"x": 1, "y": 0},
            "box": {"corner": {"x": 2, "y": 0}, "inner": None},
            "color": "red",
            "path": "/a/b",
            "points": [{"x": 3, "y": 0}, {"x": 4}],
            "sizes": {"1": 0.5},
            "names": ["a"],
        }
        with pytest.raises(NotJSON, match=r"^payload\.repo: a datetime\.datetime is not a JSON value; write \.isoformat\(\)"):
            check_call(scan, (datetime(2026, 1, 1, tzinfo=timezone.utc),), {})
        with pytest.raises(NotJSON, match=r"^payload\.tags\[0\]: a pathlib\.PosixPath is not"):
            check_call(fetch, ("u",), {"tags": [Path("a")]})
        with pytest.raises(NotJSON, match=r"^payload\.point: .*Stranger is not a JSON value"):
            check_call(rich, ("2026-01-01T00:00:00Z", Stranger()), {})

    def test_a_value_inside_itself(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        assert "nested more than 100 levels deep" in refusal(scan, loop)
        assert "nested more than 100 levels deep" in refusal(rich, "2026-01-01T00:00:00Z", loop)

    def test_annotations_that_say_nothing_about_json_are_not_checked(self) -> None:
        values = {"a": 1, "b": "x", "c": None, "d": {}}
        assert check_call(strange, (), values) == values
        assert convert_payload(handler_of(strange), values) == values
        assert check_result(handler_of(strange), 5) == 5

    def test_a_default_of_none_allows_none(self) -> None:
        assert check_call(small, (1, None), {}) == {"n": 1, "implied": None}

    def test_numbers(self) -> None:
        @handler
        def measure(x: float) -> float:
            return x

        assert check_call(measure, (1,), {}) == {"x": 1}
        assert convert_payload(handler_of(measure), {"x": 1}) == {"x": 1.0}
        assert "is not a JSON number" in refusal(measure, float("nan"))


class TestWorkerSide:
    def test_values_become_what_the_annotations_say(self) -> None:
        payload = {
            "when": "2026-01-01T00:00:00Z",
            "point": {"x": 1},
            "box": {"corner": {"x": 2}},
            "color": "red",
            "path": "/a/b",
            "points": [{"x": 3}],
            "sizes": {"1": 2},
            "names": ["a"],
        }
        assert convert_payload(handler_of(rich), payload) == {
            "when": datetime(2026, 1, 1, tzinfo=timezone.utc),
            "point": Point(1),
            "box": Box(Point(2)),
            "color": Color.RED,
            "path": Path("/a/b"),
            "points": [Point(3)],
            "sizes": {1: 2.0},
            "names": {"a"},
        }

    def test_open_handlers_get_all_keys(self) -> None:
        assert convert_payload(handler_of(anything), {"first": 1, "x": 2}) == {"first": 1, "x": 2}

    def test_the_same_refusals(self) -> None:
        for payload, message in [
            ({}, "fetch: missing argument 'url'; it takes url, depth, tags"),
            ({"url": 1}, "fetch: payload.url: expected str, got int"),
            ({"url": "u", "dept": 1}, "fetch: no argument 'dept' (did you mean 'depth'?); it takes url, depth, tags"),
        ]:
            with pytest.raises(InvalidJob) as caught:
                convert_payload(handler_of(fetch), payload)
            assert str(caught.value) == message

    def test_results(self) -> None:
        assert check_result(handler_of(fetch), {"size": 3}) == {"size": 3}
        assert check_result(handler_of(scan), ["any", {"thing": None}]) == ["any", {"thing": None}]
        assert check_result(handler_of(rich), Point(1, 2)) == {"x": 1, "y": 2}
        assert check_result(handler_of(nothing), None) is None

    @pytest.mark.parametrize(
        ("function", "result", "message"),
        [
            (small, [1, "a"], "small: result[1]: expected int, got str"),
            (small, None, "small: result: expected array, got None"),
            (nothing, 1, "nothing: result: expected None, got int"),
            (rich, {"y": 1}, "rich: result: object missing required field x"),
        ],
    )
    def test_a_result_that_does_not_fit(self, function: Any, result: Any, message: str) -> None:
        with pytest.raises(HandlerError) as caught:
            check_result(handler_of(function), result)
        assert str(caught.value) == f"{message}; return what the function's annotation says, or change it"

    def test_a_result_that_is_not_json(self) -> None:
        with pytest.raises(NotJSON, match=r"^result\.x: a datetime\.timedelta is not a JSON value"):
            check_result(handler_of(scan), {"x": timedelta(1)})


class TestImportable:
    def test_a_function_of_a_module(self) -> None:
        require_importable(fetch)
        require_importable(textwrap.dedent)

    def test_a_nested_function_and_a_lambda(self) -> None:
        def nested() -> None: ...

        with pytest.raises(HandlerNotImportable) as caught:
            require_importable(nested)
        assert str(caught.value) == (
            "nested: defined inside TestImportable.test_a_nested_function_and_a_lambda(), where a worker cannot import it; "
            "put it into a module, such as handlers.py, import it from there, and start the worker with --handlers "
            "handlers.py; or enqueue by its type, as in queue.enqueue('score', {...}), and run it in this very process: "
            "queue.drain()"
        )
        with pytest.raises(HandlerNotImportable, match=r"^<lambda>: a lambda, where a worker"):
            require_importable(lambda: None)

    @pytest.mark.parametrize(
        ("file", "where"),
        [
            ("/tmp/ipykernel_77/123.py", "a notebook cell"),
            ("<ipython-input-3-abc>", "a notebook cell"),
            ("/home/ada/run.py", "the script run.py, run as the main program"),
            ("<stdin>", "the main program"),
        ],
    )
    def test_a_function_of_the_main_program(self, file: str, where: str) -> None:
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile("def work(): pass", file, "exec"), names)
        with pytest.raises(
            HandlerNotImportable, match=f"^work: defined in {where}, where a worker cannot import it; put it into"
        ):
            require_importable(names["work"])

    def test_a_script_run_as_the_main_program(self, tmp_path: Path) -> None:
        script = tmp_path / "run.py"
        script.write_text("from jobqueue.queue.handler import require_importable\ndef work(): ...\nrequire_importable(work)\n")
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
        assert "work: defined in the script run.py, run as the main program" in done.stderr

    def test_a_module_that_is_gone_or_was_reloaded(self) -> None:
        def moved() -> None: ...

        moved.__qualname__ = "moved"
        moved.__module__ = "no_such_module"
        with pytest.raises(
            HandlerNotImportable, match=r"^moved: defined in the module no_such_module, which cannot be imported"
        ):
            require_importable(moved)
        moved.__module__ = "textwrap"
        with pytest.raises(HandlerNotImportable, match=r"^moved: not what textwrap\.moved is now"):
            require_importable(moved)


MARKED = "from jobqueue.queue.handler import handler\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; modules and search paths that a test adds go again, and `handlers` is nobody else's."""
    monkeypatch.delitem(sys.modules, "handlers", raising=False)
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not (Path(entry) / "handlers.py").exists()])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MARKED + textwrap.dedent(text))
    return str(path)


def load_error(*names: str) -> str:
    with pytest.raises(HandlerError) as caught:
        Registry.load(names)
    return str(caught.value)


class TestRegistry:
    def test_functions_at_hand(self) -> None:
        registry = Registry.of(fetch, scan)
        assert registry.types == {"fetch", "big.scan"}
        assert registry.policies == {"fetch": RetryPolicy(), "big.scan": RetryPolicy(attempts=5)}
        assert registry.get("fetch") is handler_of(fetch)
        assert registry.get("Fetch") is None
        assert registry.get("scan") is None

    def test_a_module_by_its_name(self, folder: Path) -> None:
        write(folder / "shop_a/jobs.py", "@handler\ndef scan(): ...\n")
        registry = Registry.load(["shop_a.jobs"])
        assert registry.types == {"scan"}
        assert registry.names == ("shop_a.jobs",)

    def test_a_file_by_its_path(self, folder: Path) -> None:
        write(folder / "sibling_b.py", "@handler\ndef other(): ...\n")
        write(folder / "handlers_b.py", "from sibling_b import other\n@handler\ndef scan(): ...\n")
        for name in ("handlers_b.py", "./handlers_b.py", folder / "handlers_b.py"):
            registry = Registry.load([name])
            assert registry.types == {"scan", "other"}
            assert registry.names == (str(folder / "handlers_b.py"),)
        assert Registry.load("handlers_b.py").types == {"scan", "other"}

    def test_a_file_has_the_name_that_everybody_imports_it_by(self, folder: Path) -> None:
        name = write(folder / "inner/handlers_c.py", "@handler\ndef scan(): ...\n")
        function = Registry.load([name]).get("scan").function  # type: ignore[union-attr]
        assert function.__module__ == "handlers_c"
        require_importable(function)

    def test_a_file_in_a_package(self, folder: Path) -> None:
        write(folder / "shop_d/__init__.py", "")
        write(folder / "shop_d/deep.py", "VALUE = 3\n")
        name = write(folder / "shop_d/jobs.py", "from .deep import VALUE\n@handler\ndef scan(): return VALUE\n")
        found = Registry.load([name, "shop_d.jobs"]).get("scan")
        assert found is not None
        assert found.function.__module__ == "shop_d.jobs"
        assert found.function() == 3

    def test_a_file_named_like_another_module(self, folder: Path) -> None:
        name = write(folder / "textwrap.py", "@handler\ndef scan(): ...\n")
        found = Registry.load([name]).get("scan")
        assert found is not None
        assert isinstance(sys.modules["textwrap"], ModuleType)
        assert sys.modules["textwrap"] is textwrap
        assert found.function.__module__.startswith("textwrap_")
        require_importable(found.function)
        assert Registry.load([name]).get("scan") is found

    def test_a_file_with_a_name_that_cannot_be_imported(self, folder: Path) -> None:
        name = write(folder / "my-handlers.v2.py", "@handler\ndef scan(): ...\n")
        assert Registry.load([name]).types == {"scan"}

    def test_threads_that_load_a_file_at_once_find_it_whole(self, folder: Path) -> None:
        """The file takes its time; its name is not one to import it by, so the import system does not lock it for us."""
        name = write(folder / "slow-handlers.py", "import time; time.sleep(0.2)\n@handler\ndef scan(): ...\n")
        with ThreadPoolExecutor(3) as pool:
            found = [registry.get("scan") for registry in pool.map(lambda _: Registry.load([name]), range(3))]
        assert len({one.function for one in found if one is not None}) == 1
        assert None not in found

    def test_a_child_process_finds_the_same(self, folder: Path) -> None:
        write(folder / "one/handlers.py", "@handler\ndef scan(): ...\n")
        write(folder / "two/handlers.py", "@handler\ndef fetch(): ...\n")
        registry = Registry.load(["one/handlers.py", "two/handlers.py"])
        code = """
import sys
from jobqueue.queue.registry import Registry
registry = Registry.load(sys.argv[1:])
print(*(f"{type}={registry.get(type).function.__module__}" for type in sorted(registry.types)))
"""
        done = subprocess.run(
            [sys.executable, "-c", code, *registry.names], capture_output=True, text=True, check=True, cwd=folder.parent
        )
        here = [f"{type}={registry.get(type).function.__module__}" for type in sorted(registry.types)]  # type: ignore[union-attr]
        assert done.stdout.split() == here
        assert here[1] == "scan=handlers"

    def test_two_handlers_of_one_type(self, folder: Path) -> None:
        write(folder / "first_e.py", "@handler\ndef scan(): ...\n")
        write(folder / "second_e.py", "\n\n@handler(type='scan')\ndef look(): ...\n")
        assert load_error("first_e.py", "second_e.py") == (
            f"type 'scan': two handlers, first_e.scan ({folder}/first_e.py:2) and second_e.look ({folder}/second_e.py:4); "
            "give one of them another type, with @handler(type=...)"
        )

    def test_no_such_file(self, folder: Path) -> None:
        write(folder / "handlers_f.py", "")
        assert load_error("handlrs_f.py") == f"handlrs_f.py: no such file in {folder} (did you mean 'handlers_f.py'?)"
        assert load_error("gone/x.py") == f"gone/x.py: no such file in {folder}/gone"

    def test_no_such_module(self, folder: Path) -> None:
        write(folder / "handlers_g.py", "")
        expected = "no module of this name (did you mean 'handlers_g'?); give a module, or the path of a .py file"
        assert load_error("handlrs_g") == f"handlrs_g: {expected}"
        assert load_error("no_such.module").startswith("no_such.module: no module of this name; give")

    def test_a_file_that_is_not_python(self, folder: Path) -> None:
        write(folder / "handlers.txt", "")
        assert load_error("./handlers.txt") == "./handlers.txt: not a Python file; its name must end in .py"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing' ({file}:2)"),
            ("1 / 0\n", "ZeroDivisionError: division by zero ({file}:2)"),
            ("def f(:\n", "SyntaxError: invalid syntax (handlers_h.py, line 2)"),
            ("import sys; sys.exit(3)\n", "SystemExit: 3 ({file}:2)"),
        ],
    )
    def test_a_file_that_fails(self, folder: Path, text: str, message: str) -> None:
        file = write(folder / "handlers_h.py", text)
        assert load_error("handlers_h.py") == f"handlers_h.py: fails on import: {message.format(file=file)}"
        write(folder / "handlers_h.py", "@handler\ndef mended(): ...\n")
        assert Registry.load(["handlers_h.py"]).types == {"mended"}

    def test_a_wrong_handler_names_its_file(self, folder: Path) -> None:
        write(folder / "handlers_i.py", "@handler\ndef scan(*rows): ...\n")
        assert load_error("handlers_i.py").startswith("handlers_i.py: scan: takes *rows, but")

    def test_no_handlers(self, folder: Path) -> None:
        write(folder / "handlers_j.py", "def scan(): ...\n")
        expected = "handlers_j.py: no handlers in it; write @handler above a function (from jobqueue import handler)"
        assert load_error("handlers_j.py") == expected

    def test_objects_that_refuse_to_answer_are_passed_over(self, folder: Path) -> None:
        text = """
        class Proxy:
            def __getattr__(self, name): raise RuntimeError("outside of a request")
            def __call__(self): ...
        request = Proxy()
        @handler
        def scan(): ...
        """
        write(folder / "handlers_k.py", text)
        assert Registry.load(["handlers_k.py"]).types == {"scan"}

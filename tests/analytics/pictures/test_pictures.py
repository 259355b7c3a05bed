"""Pictures of small histories that were counted by hand, of odd ones, of a million attempts, and of a queue that ran."""

from __future__ import annotations

import base64
import html
import itertools
import re
import stat
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobqueue import Queue, Worker, analytics, handler
from jobqueue.analytics.pictures import Picture, backlog, run_time, throughput, timeline, wait_time
from jobqueue.analytics.schema import ATTEMPTS
from jobqueue.errors import InvalidJob, InvalidTime
from jobqueue.testing import FakeClock

ALL: list[Callable[..., Picture]] = [throughput, run_time, wait_time, backlog, timeline]
NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
MOST_BYTES = 20_000


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Attempts of 1 s that waited 1 s and ended at `minute`, unless a row says otherwise."""
    made = []
    for number, row in enumerate(rows):
        end = NOON + timedelta(minutes=row.pop("minute", 0))
        run, wait = timedelta(seconds=row.pop("run", 1)), timedelta(seconds=row.pop("wait", 1))
        known = {
            "job": f"10-{number}",
            "type": "scan",
            "attempt": 1,
            "outcome": "done",
            "worker": "w1",
            "run": run,
            "wait": wait,
        }
        times = {"created_at": end - run - wait, "due_at": end - run - wait, "claimed_at": end - run, "finished_at": end}
        made.append({**known, **times, "clock_jump": False, **row})
    found = pd.DataFrame(made, columns=list(ATTEMPTS))
    for name, dtype in ATTEMPTS.items():
        found[name] = found[name].astype(dtype)
    return found


def many(count: int, seed: int = 1, types: list[str] | None = None) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    ends = pd.Timestamp(NOON) - pd.to_timedelta(random.uniform(0, 86400, count), unit="s")
    run, wait = (pd.to_timedelta(np.exp(random.normal(0, 3, count)), unit="s").as_unit("us") for _ in range(2))
    names = ["done", "failed", "crashed", "cancelled", "snoozed", "what"]
    made = {
        "job": pd.Series(np.arange(count)).astype("str"),
        "type": pd.Categorical.from_codes(random.integers(0, len(types or "abc"), count), types or list("abc")),
        "attempt": np.ones(count, dtype="int32"),
        "outcome": pd.Categorical.from_codes(random.integers(0, len(names), count), names),
        "worker": pd.Categorical.from_codes(random.integers(0, 30, count), [f"worker-{number}" for number in range(30)]),
        "created_at": ends - run - wait,
        "due_at": ends - run - wait,
        "claimed_at": ends - run,
        "finished_at": ends,
        "run": run,
        "wait": wait,
        "clock_jump": False,
    }
    return pd.DataFrame(made)


def root(picture: Picture) -> ET.Element:
    return ET.fromstring(picture.svg)


def tips(picture: Picture) -> list[str]:
    found = [element.text or "" for element in root(picture).iter("{http://www.w3.org/2000/svg}title")]
    return found[1:]


# What was counted by hand


HISTORY = (
    {"minute": 1, "run": 2},
    {"minute": 2, "run": 2},
    {"minute": 3, "run": 4, "outcome": "failed"},
    {"minute": 61, "run": 8, "outcome": "crashed"},
    {"minute": 62, "run": 2, "outcome": "cancelled"},
    {"minute": 63, "run": 2, "outcome": "snoozed"},
    {"minute": 125, "run": 2, "type": "score"},
)


def test_throughput_and_success_are_counted_by_the_hour() -> None:
    """12:00 2 done, 1 failed: 2 of 3. 13:00 a crash, and two that do not count: 0 of 1. 14:00 1 done: 1 of 1."""
    picture = throughput(frame(*HISTORY), since=NOON, until=NOON + timedelta(hours=4), every="1h", timezone="UTC")
    table = picture.frame
    assert list(table["start"].dt.hour) == [12, 13, 14, 15]
    assert table["done"].tolist() == [2, 0, 1, 0]
    assert table["failed"].tolist() == [1, 0, 0, 0]
    assert table["crashed"].tolist() == [0, 1, 0, 0]
    assert table["cancelled"].tolist() == [0, 1, 0, 0]
    assert table["given back"].tolist() == [0, 1, 0, 0]
    assert table["success_rate"].tolist()[:3] == [2 / 3, 0, 1]
    assert np.isnan(table["success_rate"].tolist()[3])
    assert str(picture) == (
        "7 attempts since Mon 2 Mar 2026 12:00 until Mon 2 Mar 2026 16:00: "
        "3 done, 1 failed, 1 crashed, 1 cancelled, 1 given back; 60% went well."
    )
    assert tips(picture) == [
        "Mon 2 Mar 2026 12:00 to 13:00\n2 done\n1 failed\nsuccess 66.7%",
        "Mon 2 Mar 2026 13:00 to 14:00\n1 crashed\n1 cancelled\n1 given back\nsuccess 0.0%",
        "Mon 2 Mar 2026 14:00 to 15:00\n1 done\nsuccess 100.0%",
    ]


def test_bars_are_as_high_as_their_numbers() -> None:
    """150 pixels, from 0 to 3 (steps of 1): 2 done are 100 of them, 1 failed is 50 on top."""
    picture = throughput(frame(*HISTORY[:3]), since=NOON, until=NOON + timedelta(hours=1), every="1h", timezone="UTC")
    boxes = re.findall(r'fill="(?:#3182bd|url\([^)]*\))" d="M[\d.]+ ([\d.]+)H[\d.]+V([\d.]+)H', picture.svg)
    heights = [round(float(bottom) - float(top), 1) for bottom, top in boxes]
    assert heights == [100, 50]


def test_by_type_the_most_frequent_comes_first_and_what_is_left_is_put_together() -> None:
    rows = [{"type": f"t{number}"} for number in range(7) for _ in range(10 - number)]
    table = throughput(frame(*rows), by="type").frame
    assert list(table.columns[3:]) == ["t0", "t1", "t2", "t3", "t4", "others"]
    assert [table[name].sum() for name in table.columns[3:]] == [10, 9, 8, 7, 6, 5 + 4]


def test_a_type_may_have_the_name_of_a_column() -> None:
    table = throughput(frame({"type": "start"}, {"type": "others"}), by="type").frame
    assert {"start", "start_", "others", "others_"} <= set(table.columns)


def test_percentiles_and_bins_of_run_times() -> None:
    """1 to 100 s: half at most 50.5 s, by interpolation; nothing is lost on the way into the bins."""
    picture = run_time(frame(*({"run": number} for number in range(1, 101))))
    assert "half ran at most 50.5 s, 95% at most 1 min 35 s, 99% at most 1 min 39 s; the longest 1 min 40 s" in picture.caption
    assert picture.frame["done"].sum() == 100
    assert (picture.frame["start"].iloc[0], picture.frame["end"].iloc[-1] > timedelta(seconds=100)) == (
        timedelta(seconds=1),
        True,
    )


def test_a_backlog_is_counted_between_the_edges_too() -> None:
    """Three are due at 12:00:00, claimed at 12:00:10, :20 and :30. In the first minute at most 3 wait, 30 s at the longest."""
    rows = [{"minute": (wait + 1) / 60, "wait": wait} for wait in (10, 20, 30)]
    picture = backlog(frame(*rows), since=NOON, until=NOON + timedelta(minutes=3), every="1m", timezone="UTC")
    assert picture.frame["most"].tolist() == [3, 0, 0]
    assert picture.frame["last"].tolist() == [0, 0, 0]
    assert picture.frame["oldest"].dt.total_seconds().tolist() == [30, 0, 0]


def test_a_job_that_waits_through_periods_gets_older_in_each() -> None:
    """Due 12:00:30, claimed 12:02:15: 30 s old at the end of the first minute, then 90 s, then 105 s."""
    rows = frame({"minute": (136 / 60), "wait": 105})
    picture = backlog(rows, since=NOON, until=NOON + timedelta(minutes=4), every="1m", timezone="UTC")
    assert picture.frame["oldest"].dt.total_seconds().tolist() == [30, 90, 105, 0]
    assert picture.frame["most"].tolist() == [1, 1, 1, 0]
    assert picture.frame["last"].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_a_backlog_is_that_of_a_plain_count(seed: int) -> None:
    random = np.random.default_rng(seed)
    starts = random.integers(-50, 300, 60)
    waits = random.integers(0, 90, 60)
    rows = [
        {"minute": (start + wait + 1) / 60, "wait": int(wait)}
        for start, wait in zip(starts.tolist(), waits.tolist(), strict=True)
    ]
    picture = backlog(frame(*rows), since=NOON, until=NOON + timedelta(minutes=4), every="1m", timezone="UTC")
    for number, row in enumerate(picture.frame.to_dict("records")):
        low, high = number * 60, number * 60 + 60
        waiting = [[s for s, w in zip(starts, waits, strict=True) if s <= at < s + w] for at in np.arange(low, high, 0.5)]
        assert row["most"] == max(map(len, waiting))
        ages = [min(s + w, high) - s for s, w in zip(starts, waits, strict=True) if w and s < high and s + w > low]
        assert row["oldest"].total_seconds() == max(ages, default=0)


def test_jobs_side_by_side_have_rows_of_their_own() -> None:
    rows = (
        {"minute": 1, "run": 60},
        {"minute": 1, "run": 30},
        {"minute": 2, "run": 30},
        {"minute": 1, "run": 5, "worker": "w0"},
    )
    picture = timeline(frame(*rows), timezone="UTC")
    assert dict(zip(picture.frame["job"], picture.frame["row"], strict=True)) == {"10-3": 0, "10-0": 1, "10-1": 2, "10-2": 1}
    assert "on 2 workers" in picture.caption
    assert tips(picture)[0].startswith("scan: done after ")


# Whatever there is


ODD = {
    "nothing": frame(),
    "one": frame({}),
    "equal": frame(*({} for _ in range(50))),
    "all failed": frame(*({"outcome": "failed", "minute": number} for number in range(50))),
    "one giant": frame(
        *({"minute": number, "run": 0.001} for number in range(50)), {"run": 10 * 365 * 86400, "wait": 10 * 365 * 86400}
    ),
    "no time at all": frame({"run": 0, "wait": 0}),
    "ten years": frame({}, {"minute": 10 * 365 * 1440}),
    "times unknown": frame({"finished_at": None, "claimed_at": None, "due_at": None, "created_at": None, "run": 1}),
    "in the year 200000": frame({}).assign(
        finished_at=pd.Series(np.array([6_000_000_000_000_000_000], "M8[us]")).dt.tz_localize("UTC")
    ),
    "unknown outcome": frame({"outcome": "exploded"}, {"outcome": None}),
    "hostile": frame({"type": "</title><script>x</script>" * 99, "worker": "\u202e" * 300, "outcome": "<b>", "job": "\ufffe"}),
    "many": many(20_000),
    "long names": many(20_000, types=["\N{PILE OF POO}" * 5000 + str(number) for number in range(9)]),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("draw", ALL)
def test_every_history_makes_a_picture(draw: Callable[..., Picture], name: str) -> None:
    options: list[dict[str, Any]] = [{}, {"range": "all"}, {"range": "1m"}, {"since": NOON - timedelta(days=3650)}]
    options += [{"by": "type"}] if draw not in (backlog, timeline) else []
    options += [{"every": "1s"}, {"every": "15m", "since": NOON - timedelta(days=1)}] if draw in (throughput, backlog) else []
    for given in options:
        picture = draw(ODD[name], timezone="Europe/Berlin", **given)
        assert len(picture.svg.encode()) <= MOST_BYTES, given
        assert len(tips(picture)) <= 96
        assert len(picture.frame) <= 96
        assert str(picture)
        for text in (picture.svg, picture.draw(350)):
            drawn = ET.fromstring(text)
            assert drawn.get("role") == "img"
            assert [child.tag.split("}")[1] for child in drawn][:2] == ["title", "desc"]
            assert "nan" not in re.sub(r"<(title|desc|text)[^>]*>[^<]*", "", text)


@pytest.mark.parametrize("width", [240, 350, 700])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("draw", ALL)
def test_no_text_is_outside_or_on_another(
    draw: Callable[..., Picture], name: str, width: int, is_well_laid: Callable[[str], None]
) -> None:
    for given in ({}, {"since": NOON - timedelta(days=3650), "until": NOON + timedelta(days=1)}):
        is_well_laid(draw(ODD[name], timezone="Asia/Tokyo", **given).draw(width))


@pytest.mark.parametrize("draw", ALL)
def test_no_label_lies_on_another_at_any_time_of_the_day(
    draw: Callable[..., Picture], is_well_laid: Callable[[str], None]
) -> None:
    """The ticks walk through the picture with the hours, and the last label is moved inwards at the edge."""
    for minutes in range(0, 1440, 10):
        until = NOON + timedelta(minutes=minutes)
        is_well_laid(draw(frame(), timezone="Asia/Tokyo", since=until - timedelta(days=1), until=until).draw(350))


@pytest.mark.parametrize("draw", ALL)
def test_nothing_is_said_calmly(draw: Callable[..., Picture], tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q")
    picture = draw(queue)
    assert str(picture) == f"no {'jobs waited' if draw is backlog else 'attempts'} in the last 24 h"
    assert str(picture) in picture.svg


def test_attempts_with_a_clock_jump_are_in_no_average() -> None:
    rows = frame({"run": 1}, {"run": 1}, {"run": 500, "clock_jump": True}, {"run": -3})
    assert run_time(rows).caption.endswith("the longest 1 s. 2 attempts left out: a clock was set meanwhile.")
    assert throughput(rows).frame["done"].sum() == 4
    assert "2 attempts left out" in backlog(rows.assign(clock_jump=[False, False, True, True])).caption
    assert len(timeline(rows).frame) == 2
    assert backlog(frame({}, {"wait": 500, "clock_jump": True})).frame["oldest"].max() == timedelta(seconds=1)


def test_the_last_attempts_of_many_are_shown() -> None:
    picture = timeline(many(5000))
    assert len(picture.frame) <= 96
    assert picture.caption.startswith(f"The last {len(picture.frame)} of 5,000 attempts")
    assert picture.frame["finished_at"].max() == many(5000)["finished_at"].max()


def test_a_range_has_whole_periods_and_ends_now() -> None:
    clock = FakeClock(NOON + timedelta(minutes=37))
    queue = Queue(":memory:", clock=clock)
    table = throughput(queue, "24h", timezone="UTC").frame
    assert len(table) == 24
    assert table["start"].iloc[0] == NOON - timedelta(hours=23)
    assert table["end"].iloc[-1] == clock.now()


def test_periods_follow_the_calendar_of_the_zone() -> None:
    """In Berlin the 29th of March 2026 has 23 hours; days begin at 23:00 and at 22:00 UTC."""
    start = datetime(2026, 3, 27, 23, tzinfo=timezone.utc)
    rows = frame({"finished_at": start + timedelta(days=1)})
    table = throughput(rows, since=start, until=start + timedelta(days=3), every="1d", timezone="Europe/Berlin").frame
    assert [when.hour for when in table["start"]] == [23, 23, 22, 22][: len(table)]
    assert [(row.end - row.start).total_seconds() / 3600 for row in table.itertuples()] == [24, 23, 24, 1]


@pytest.mark.parametrize("draw", [throughput, backlog, timeline])
@pytest.mark.parametrize(("zone", "says"), [("UTC", "UTC"), ("Europe/Berlin", "UTC+1"), ("Asia/Kathmandu", "UTC+5:45")])
def test_a_picture_says_what_its_times_are(draw: Callable[..., Picture], zone: str, says: str) -> None:
    assert f" · {says}</text>" in draw(frame({}, {"minute": 5}), timezone=zone).svg


def test_the_local_zone_is_that_of_whoever_looks(tmp_path: Path) -> None:
    code = (
        "import pandas as pd; from jobqueue.analytics.pictures import throughput; t = pd.Timestamp('2026-03-02T12:00Z');"
        "f = pd.DataFrame({'finished_at': [t, t + pd.Timedelta('4h')], 'outcome': 'done'}); print(throughput(f).caption)"
    )
    for zone, hour in (("Asia/Tokyo", "21:00"), ("UTC", "12:00"), ("", "12:00")):
        done = subprocess.run([sys.executable, "-c", code], env={"TZ": zone}, capture_output=True, text=True, check=True)
        assert f"from Mon 2 Mar 2026 {hour}" in done.stdout


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"range": "yesterday"}, InvalidJob, "give 24h, 7d, 30d, all"),
        ({"range": "0s"}, InvalidTime, "nothing lies in 0 s"),
        ({"range": "24h", "since": "1h"}, InvalidJob, "give the one or the others"),
        ({"since": datetime(2026, 1, 1)}, InvalidTime, "has no time zone"),
        ({"since": "1h", "until": "2h"}, InvalidTime, "change since or until"),
        ({"timezone": "Europe/Berln"}, InvalidJob, "Europe/Berlin"),
        ({"by": "typ"}, InvalidJob, "did you mean 'type'"),
        ({"projct": "p1"}, InvalidJob, "did you mean 'project'"),
        ({"every": "soon"}, InvalidTime, "every: cannot read"),
    ],
)
def test_what_cannot_be_drawn_is_said_with_the_fix(given: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        throughput(frame({}), **given)


def test_a_frame_that_is_no_frame_of_attempts_is_refused() -> None:
    with pytest.raises(InvalidJob, match="no column 'outcome'"):
        throughput(frame({}).drop(columns="outcome"))
    with pytest.raises(InvalidTime, match="tz_localize"):
        throughput(frame({}).assign(finished_at=pd.Timestamp("2026-01-01")))
    with pytest.raises(InvalidTime, match="to_timedelta"):
        run_time(frame({}).assign(run=1.0))
    with pytest.raises(TypeError, match="not of str"):
        throughput("queue_dir")  # type: ignore[arg-type]


@pytest.mark.parametrize("draw", ALL)
def test_only_what_ended_within_the_time_is_drawn(draw: Callable[..., Picture]) -> None:
    rows = frame(*({"minute": minute, "wait": 60} for minute in (0, 60, 120)))
    told = draw(rows, since=NOON + timedelta(minutes=30), until=NOON + timedelta(minutes=90)).caption
    assert told.startswith("At most 1 job" if draw is backlog else "1 attempt since")


def test_what_was_tried_before_waits_since_then(tmp_path: Path) -> None:
    """Made at noon, tried at once, to be tried again at 12:10, and now it is 12:15: it has waited for 5 minutes."""
    clock = FakeClock(NOON)
    queue = Queue(tmp_path / "q", clock=clock)
    queue.enqueue("goes_wrong", {"n": 1}, max_attempts=2, backoff="10m")
    Worker(queue, [goes_wrong]).run(drain=True)
    clock.advance("15m")
    found = backlog(queue, since=NOON - timedelta(minutes=1)).frame
    assert found["last"].iloc[-1] == 1
    assert found["oldest"].max() == timedelta(minutes=5)


def test_filters_choose() -> None:
    rows = frame({"type": "a"}, {"type": "b"}, {"type": "c"})
    assert throughput(rows, type="a").frame["done"].sum() == 1
    assert throughput(rows, type=["a", "b"]).frame["done"].sum() == 2


# Where it is shown


@pytest.mark.parametrize("draw", ALL)
def test_a_notebook_needs_no_script_and_no_net(draw: Callable[..., Picture]) -> None:
    picture = draw(many(3000))
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    page = bundle["text/html"]
    for word, text in itertools.product(
        ("<script", "javascript:", "@import", "<link", "onload", "onclick"), (page, picture._repr_html_())
    ):
        assert word not in text
    addresses = re.findall(r"""(?:https?:)?//[^"' )]+""", re.sub(r"base64,[^\"]*", "", page))
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}
    assert "currentColor" in picture.svg
    words = re.sub(r"<[^>]*>", "", page)
    assert words == html.escape(picture.caption), "a page that takes out tags leaves the words between them"
    assert re.search(r'<object [^>]*><img alt="[^"]+" src="data:image/svg\+xml;base64,', page)
    assert picture.svg in picture._repr_html_()
    still = base64.b64decode(picture.image.partition("base64,")[2]).decode()
    assert "currentColor" not in still + bundle["image/svg+xml"]
    assert ET.fromstring(still).get("fill") == "#777"


@pytest.mark.parametrize("draw", ALL)
def test_the_same_attempts_make_the_same_picture(draw: Callable[..., Picture]) -> None:
    first, second = (draw(many(3000), timezone="UTC") for _ in range(2))
    assert first.svg == second.svg
    assert first._repr_html_() == second._repr_html_()


def test_a_file_is_for_its_owner_and_takes_no_other_ones_place(tmp_path: Path) -> None:
    picture, target = throughput(frame({})), tmp_path / "x.svg"
    assert picture.save(target) == target
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    ET.parse(target)
    target.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        picture.save(target)
    assert target.read_text() == "mine"
    picture.save(str(target), overwrite=True)
    assert target.read_text().startswith("<svg")
    assert [file.name for file in tmp_path.iterdir()] == ["x.svg"]
    with pytest.raises(ValueError, match="name the file x.svg"):
        picture.save(tmp_path / "x.png")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.svg").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        throughput(frame({})).save(tmp_path / "x.svg")
    throughput(frame({})).save(tmp_path / "x.svg", overwrite=True)
    assert not (tmp_path / "elsewhere").exists()


# Real ones


@handler
def goes_well(n: int) -> int:
    return n


@handler
def goes_wrong(n: int) -> None:
    raise ValueError(n)


@pytest.mark.filterwarnings("ignore")
def test_a_queue_that_ran_two_hundred_jobs(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", durability="relaxed")
    for number in range(150):
        queue.enqueue("goes_well", {"n": number})
    for number in range(50):
        queue.enqueue("goes_wrong", {"n": number}, max_attempts=1)
    late = [queue.enqueue("goes_well", {"n": number}, delay="1h") for number in range(3)]
    Worker(queue, [goes_well, goes_wrong]).run(drain=True)
    waiting = [queue.enqueue("goes_well", {"n": number}) for number in range(7)]
    picture = throughput(queue, "24h", timezone="UTC")
    assert picture.caption == "200 attempts in the last 24 h: 150 done, 50 failed; 75% went well."
    assert (picture.frame["done"].sum(), picture.frame["failed"].sum()) == (150, 50)
    assert run_time(queue).frame.iloc[:, 2:].to_numpy().sum() == 200
    found = backlog(queue, "1h")
    assert found.frame["most"].max() >= 7
    assert found.frame["last"].iloc[-1] == len(waiting)
    assert len(late) == 3
    assert timeline(queue).caption.startswith("The last 96 of 200 attempts in the last 24 h, on 1 worker.")
    today = {"since": queue.clock.now() - timedelta(hours=1), "until": queue.clock.now() + timedelta(minutes=1)}
    before = throughput(queue, **today)
    queue.purge()
    assert throughput(queue, **today).svg == before.svg
    assert before.caption.startswith("200 attempts")


@pytest.mark.parametrize("draw", ALL)
def test_a_million_attempts(draw: Callable[..., Picture], record_property: Any) -> None:
    """No mark for each of them: the picture is as small as any. How long it took is told, and asserted nowhere."""
    rows = many(1_000_000)
    began = time.perf_counter()
    picture = draw(rows)
    record_property("seconds", time.perf_counter() - began)
    assert len(picture.svg.encode()) <= MOST_BYTES
    assert "attempts" in picture.caption or "jobs" in picture.caption


def test_pictures_are_reached_from_analytics() -> None:
    assert analytics.pictures.throughput is throughput

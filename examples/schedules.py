"""A job at set times: workers add it, one run for each due time, and what was missed is made up once."""

from datetime import datetime, timezone

from jobqueue import handler
from jobqueue.testing import FakeClock, drain, temporary_queue


@handler
def report(kind: str) -> str:
    return f"the {kind} report"


def main() -> None:
    clock = FakeClock(datetime(2026, 3, 27, 12, 0, tzinfo=timezone.utc))  # a Friday; real queues have the real time
    with temporary_queue(clock=clock) as queue:
        nightly = queue.schedule("report", {"kind": "daily"}, cron="0 6 * * mon-fri", timezone="Europe/Berlin", name="nightly")
        print(f"{nightly.outcome}: {nightly}")

        clock.advance("2d16h")  # Monday, 06:00 in Berlin, after the change to summer time
        (job,) = drain(handlers=[report]).done  # `python -m jobqueue.worker` does this all the time
        print(f"{job.result()}, due {nightly.last_run:%A %H:%M}, again {nightly.next_run:%A %H:%M}")

        clock.advance("50h")  # no worker for two days: the latest run is made up, the others are not
        print(f"tags: {[job.record.tags for job in drain(handlers=[report]).done]}")

        nightly.pause("the data are not there")
        clock.advance("1d")
        print(f"paused: {len(drain(handlers=[report]).done)} jobs; by hand: {nightly.run().status}")
        queue.unschedule("nightly")
        print(f"removed: {queue.schedules()}")


if __name__ == "__main__":
    main()

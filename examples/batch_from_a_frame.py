"""A frame goes in, a frame comes out: a job for each row, results in the same rows, some of them done again."""

import tempfile
import warnings

import pandas as pd

from jobqueue import Queue, Worker, analytics, handler
from jobqueue.errors import NoWorkerWarning


@handler(subject="city", pipeline_version="v1")
def weigh(city: str, tons: float | None) -> dict:
    if tons is None:
        raise ValueError("no weight")
    return {"kilos": tons * 1000, "heavy": tons > 2}


def main() -> None:
    warnings.simplefilter("ignore", NoWorkerWarning)
    frame = pd.DataFrame({"city": ["Bonn", "Ulm", "Hof"], "tons": [1.5, None, 3.0]}, index=["a", "b", "c"])

    with tempfile.TemporaryDirectory() as folder, Queue(f"{folder}/queue_dir") as queue:
        batch = queue.enqueue_frame(frame, "weigh", batch="cargo", project="p1", max_attempts=1)
        print(batch.message)
        Worker(queue, [weigh]).run(drain=True)
        print(batch.progress)

        found = queue.batch("cargo").results(spread=True)  # from any process, at any time
        print("kilos:", found["kilos"].dropna().to_dict())
        print("failed:", batch.errors()["error"].to_dict())

        batch.redo(batch.errors(), payload={"tons": 2.0})
        Worker(queue, [weigh]).run(drain=True)
        print("again:", batch.results(spread=True)["kilos"].to_dict())

        print("seen:", analytics.coverage(queue, ["Bonn", "Hof", "Kiel"], weigh).summary)
        plan = queue.purge(analytics.jobs(queue).query("status == 'done'"), dry_run=True)
        print(plan)
        print(plan.apply().undo())
        print(queue.enqueue_frame(frame, "weigh", batch="cargo", project="p1").message)
        print(queue.enqueue_frame(frame.head(1), "weigh", batch="cargo", project="p1").message)


if __name__ == "__main__":
    main()

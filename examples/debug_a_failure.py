"""A job failed in a worker: look at it, run it again right here with its exact payload, and make a notebook about it."""

import tempfile
import traceback
import warnings
from pathlib import Path

from jobqueue import Queue, handler
from jobqueue.errors import NoWorkerWarning


@handler
def average(values: list[float]) -> float:
    return sum(values) / len(values)


def main() -> None:
    warnings.simplefilter("ignore", NoWorkerWarning)  # it will be run right here
    with tempfile.TemporaryDirectory() as folder, Queue(f"{folder}/queue_dir") as queue:
        job = queue.enqueue("average", {"values": []}, max_attempts=1)
        print("drained:", str(queue.drain()).partition(", in ")[0])
        print("failed:", job.error.message if job.error else "")

        try:
            job.run_here()  # in a notebook: %debug afterwards
        except ZeroDivisionError as error:
            print("here too:", traceback.extract_tb(error.__traceback__)[-1].name)
        print("mended:", job.run_here(lambda values: sum(values) / max(1, len(values))))
        print("the job itself:", job.status)

        notebook = job.to_notebook(Path(folder) / "average.ipynb")
        print("notebook:", notebook.name, "with the traceback:", "ZeroDivisionError" in notebook.read_text())

        box = job.bundle(Path(folder) / "job.zip")  # to attach to an issue
        with Queue(f"{folder}/elsewhere") as other:
            print("elsewhere:", other.import_bundle(box).why().partition(", after ")[2])


if __name__ == "__main__":
    main()

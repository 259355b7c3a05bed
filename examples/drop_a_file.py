"""Jobs without any library: a JSON file that is put into pending/ is a job. Its name is the id."""

import json
import tempfile
from pathlib import Path

from jobqueue import Queue, Worker, handler


@handler
def scan(repo: str) -> str:
    return f"scanned {repo}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Queue(f"{folder}/queue_dir", durability="relaxed") as queue:
        pending = Path(folder, "queue_dir", "pending")

        # Only type is needed; payload holds the handler's arguments.
        (pending / "mine.json").write_text('{"type": "scan", "payload": {"repo": "octo/cat"}}')

        # The keys may be camelCase, and what means nothing here is kept.
        job = {"type": "scan", "payload": {"repo": "octo/dog"}, "maxAttempts": 5, "projectId": "p1", "color": "red"}
        (pending / "theirs.json").write_text(json.dumps(job))

        # One that cannot be a job is set aside, its bytes untouched, with the reason beside it.
        (pending / "broken.json").write_text('{"type": "scan", "payload": {"repo": "octo/owl"')

        with Worker(queue, [scan]):
            for id in ("mine", "theirs", "broken"):
                job = queue.get(id).wait("10s")
                print(f"{id}: {job.status}")
        print(f"theirs: {queue.get('theirs').max_attempts} attempts, project {queue.get('theirs').project}")

        failed = Path(folder, "queue_dir", "failed")
        print(f"in failed/: {sorted(file.name for file in failed.iterdir())}")
        print(f"reason: {(failed / 'broken.reason').read_text().strip()}")


if __name__ == "__main__":
    main()

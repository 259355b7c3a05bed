"""A job that waits for others, and what becomes of it when one of them fails."""

from jobqueue import Discard, Queue, Worker, handler


@handler
def fetch(page: int) -> str:
    if page == 404:
        raise Discard("there is no such page")
    return f"page {page}"


@handler
def report(title: str) -> str:
    return f"report: {title}"


def main() -> None:
    with Queue(":memory:") as queue:  # in a folder it is the same
        pages = queue.enqueue_many("fetch", [{"page": 1}, {"page": 2}])
        missing = queue.enqueue("fetch", {"page": 404})

        good = queue.enqueue("report", {"title": "two pages"}, after=pages)
        skipped = queue.enqueue("report", {"title": "needs all"}, after=[*pages, missing])
        anyhow = queue.enqueue("report", {"title": "what there was"}, after=[*pages, missing], on_parent_failure="run")
        print(good.why())

        with Worker(queue, [fetch, report]):
            for job in (good, skipped, anyhow):
                job.wait("10s")

        print(f"good: {good.result()}")
        print(f"skipped: {skipped.status}, {skipped.error.reason}")
        print(f"anyhow: {anyhow.result()}")


if __name__ == "__main__":
    main()

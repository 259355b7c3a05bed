"""How often, how many at a time, one for each repository, and how much: limits that all workers keep together."""

import time

from jobqueue import JobContext, Queue, Worker, handler


@handler(rate="20/s", concurrency=2)
def fetch(page: int) -> float:
    return time.time()


@handler(concurrency_key="{owner}/{repo}")
def scan(owner: str, repo: str) -> str:
    return f"scanned {owner}/{repo}"


@handler
def extract(text: str, ctx: JobContext) -> None:
    ctx.metric("tokens", 400)
    time.sleep(0.1)  # it would be calling a model


def main() -> None:
    with Queue(":memory:") as queue:  # in a folder it is the same, for all worker processes together
        pages = queue.enqueue_many(fetch, [{"page": page} for page in range(30)])
        with Worker(queue, [fetch]):
            times = sorted(page.result("30s") for page in pages)
        print(f"30 pages at 20/s took a second or more: {times[-1] - times[0] >= 0.9}")

        # One job for each key runs at a time. With on_conflict the next does not wait for the others.
        first = queue.enqueue(scan, owner="octo", repo="cat")
        second = queue.with_options(on_conflict="reject").enqueue(scan, "octo", "cat")
        print(f"second: {second.outcome}; that is the first: {second == first}")
        third = queue.with_options(on_conflict="supersede").enqueue(scan, "octo", "cat")
        print(f"third: {third.outcome}, superseded {third.superseded}; the first: {first.status}")

        # A budget pauses a type once its jobs have counted so much, until the day is over.
        queue.budget("extract", tokens=1000, per="day")
        texts = queue.enqueue_many(extract, [{"text": f"text {number}"} for number in range(9)])
        with Worker(queue, [scan, extract]):
            third.wait("30s"), texts[2].wait("30s")
            [spent] = queue.budgets()["extract"]
            print(f"extract: its {spent.budget.amount:g} tokens are spent: {spent.over}; the last text: {texts[-1].status}")
            print(texts[-1].why().partition(" since")[0])


if __name__ == "__main__":
    main()

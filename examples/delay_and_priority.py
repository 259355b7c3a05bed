"""Later, and sooner: delays, and who goes first. The lower number runs first; the names say it plainly."""

from datetime import datetime, timedelta, timezone

from jobqueue import Queue, Worker, handler


@handler
def say(word: str) -> None:
    print(f"  {word}")


def main() -> None:
    with Queue(":memory:") as queue:  # in a folder it is the same
        queue.enqueue("say", {"word": "low (20)"}, priority="low")
        queue.enqueue("say", {"word": "normal (10), the oldest"})
        queue.enqueue("say", {"word": "normal (10), the second"})
        urgent = queue.enqueue("say", {"word": "urgent (0)"}, priority="urgent")
        soon = queue.enqueue("say", {"word": "urgent, but half a second later"}, priority="urgent", delay="500ms")
        at_six = datetime.now(timezone.utc) + timedelta(hours=6)  # a time needs its zone; a naive one is refused
        later = queue.enqueue("say", {"word": "in six hours"}, run_after=at_six)

        print(f"{queue.stats()}")
        print(f"position of the urgent one: {queue.position(urgent)}")
        print("they run:")
        with Worker(queue, [say]):
            soon.wait("10s")
        print(f"{later.why()}")


if __name__ == "__main__":
    main()

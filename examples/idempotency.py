"""The same request twice makes one job: give it a key, and look at what `enqueue` answers."""

from jobqueue import Queue, Worker, handler


@handler
def export(table: str) -> str:
    return f"{table}.csv"


def main() -> None:
    with Queue(":memory:") as queue:  # in a folder it is the same
        first = queue.enqueue("export", {"table": "orders"}, idempotency_key="export-7")
        again = queue.enqueue("export", {"table": "orders"}, idempotency_key="export-7")
        print(f"first: {first.outcome}; again: {again.outcome}, the same job: {first == again}")

        with Worker(queue, [export]):
            print(f"result: {again.result('10s')}")

        # The key holds for as long as the job's file exists: a request that comes late finds the result.
        late = queue.enqueue("export", {"table": "orders"}, idempotency_key="export-7")
        print(f"late: {late.outcome}, {late.status}")

        anyway = queue.enqueue("export", {"table": "orders"}, idempotency_key="export-7", force=True)
        print(f"forced: {anyway.outcome}")

        # key_scope="active" frees a key when its job has finished, "24h" holds it for a day.
        one = queue.enqueue("export", {"table": "users"}, idempotency_key="nightly", key_scope="active")
        one.cancel()
        two = queue.enqueue("export", {"table": "users"}, idempotency_key="nightly", key_scope="active")
        print(f"nightly: {one.outcome}, then {two.outcome}")


if __name__ == "__main__":
    main()

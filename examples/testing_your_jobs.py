"""Testing an application's jobs: no worker, no sleep, no folder to clean up. Run it with pytest, or as it stands."""

from jobqueue import JobContext, Retry, constant, enqueue, handler
from jobqueue.testing import FakeClock, assert_enqueued, assert_not_enqueued, drain, temporary_queue

MAIL_SERVER = {"up": True}


@handler(retry=constant("10m", attempts=3))
def welcome(to: str, ctx: JobContext) -> str:
    if not MAIL_SERVER["up"]:
        raise Retry("the mail server is down")
    return f"mail to {to} sent at attempt {ctx.attempt}"


def sign_up(address: str) -> None:
    """The application code under test."""
    if "@" in address:
        enqueue("welcome", {"to": address}, priority="high")


def test_a_new_user_gets_a_mail() -> None:
    with temporary_queue():
        sign_up("ann@example.org")
        sign_up("not an address")

        assert_enqueued("welcome", {"to": "ann@example.org"}, priority=5, count=1)
        assert_not_enqueued("welcome", {"to": "not an address"})
        assert drain(handlers=[welcome]).results == ["mail to ann@example.org sent at attempt 1"]


def test_the_mail_is_sent_again_when_the_server_is_back() -> None:
    clock = FakeClock()
    with temporary_queue(clock=clock):
        sign_up("ann@example.org")

        MAIL_SERVER["up"] = False
        assert len(drain(handlers=[welcome]).waiting) == 1
        MAIL_SERVER["up"] = True
        clock.advance("10m")

        assert drain(handlers=[welcome]).results == ["mail to ann@example.org sent at attempt 2"]


if __name__ == "__main__":
    test_a_new_user_gets_a_mail()
    test_the_mail_is_sent_again_when_the_server_is_back()
    print("both tests pass")

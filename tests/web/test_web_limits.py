"""How much one visitor may ask, and that others do not notice."""

from __future__ import annotations

import asyncio

import pytest
from web_samples import RED, TOKEN, picture, png

from rsir_tf.errors import InputError
from rsir_tf.web import uploads
from rsir_tf.web.access import Access
from rsir_tf.web.limits import BURST, MOST_SOCKETS, QUESTION, Limits, cost, visitor
from rsir_tf.web.work import BusyError


class Clock:
    """Time that a test moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_store_empties_and_fills_again() -> None:
    clock = Clock()
    limits = Limits(10, clock=clock)
    assert [limits.take("192.0.2.1", QUESTION) for _ in range(BURST)] == [0.0] * BURST
    assert limits.take("192.0.2.1", QUESTION) == pytest.approx(0.1)  # 10 questions a second.
    assert limits.take("192.0.2.2", QUESTION) == 0.0  # Another visitor has a store of its own.
    clock.now = 0.1
    assert limits.take("192.0.2.1", QUESTION) == 0.0
    assert limits.take("192.0.2.1", QUESTION) == pytest.approx(0.1)
    clock.now = 1e6
    assert [limits.take("192.0.2.1", QUESTION) == 0 for _ in range(BURST + 1)] == [True] * BURST + [False]


def test_wrong_tokens_are_owed() -> None:
    clock = Clock()
    limits = Limits(10, clock=clock)
    for _ in range(BURST + 10):
        limits.charge("192.0.2.1", QUESTION)
    assert limits.take("192.0.2.1", QUESTION) == pytest.approx(1.1)


def test_this_machine_is_not_limited_and_0_limits_nobody() -> None:
    for limits, who in ((Limits(1), "127.0.0.1"), (Limits(1), "::/64"), (Limits(0), "192.0.2.1")):
        assert all(limits.take(who, QUESTION) == 0.0 for _ in range(1000))
        assert all(limits.open_socket(who) for _ in range(1000))
    assert Limits(1, own_machine=True).take("127.0.0.1", 10**6) > 0


def test_pages_of_one_visitor_are_counted() -> None:
    limits = Limits()
    assert [limits.open_socket("192.0.2.1") for _ in range(MOST_SOCKETS + 1)] == [True] * MOST_SOCKETS + [False]
    limits.close_socket("192.0.2.1")
    assert limits.open_socket("192.0.2.1")


def test_visitors_are_told_apart_by_address() -> None:
    def of(address: str) -> str:
        return visitor({"client": (address, 1)})

    assert of("192.0.2.1") == "192.0.2.1"
    assert of("2001:db8::1") == of("2001:db8::ffff") == "2001:db8::/64"
    assert of("2001:db8:0:1::1") != of("2001:db8::1")
    assert of("::1") == "::/64"
    assert of("nobody") == visitor({}) == "unknown"


def test_a_visitor_in_a_hurry_is_told_to_wait(client) -> None:
    page = client(limits=Limits(0.01, own_machine=True))
    asked = BURST * QUESTION // cost("/api/query")
    assert {page.get("/api/query?id=fire/0.png").status_code for _ in range(asked)} == {200}
    answer = page.get("/api/query?id=fire/0.png")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 1
    assert page.post("/api/uploads", content=png(picture(RED, RED, 1))).status_code == 429


def test_guessing_the_token_is_slow(client) -> None:
    page = client(Access(TOKEN, loopback=False), host="archive.example", limits=Limits(own_machine=True))
    answers = [page.get(f"/api/index?token={number:016}").status_code for number in range(100)]
    assert set(answers) == {401, 429}
    assert answers.index(429) < 20


def test_few_bodies_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Coming:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        async def body(self) -> bytes:
            await asyncio.sleep(self.seconds)
            return b"content"

    async def several() -> None:
        receiving = uploads.Receiving()
        async with receiving.body(Coming(0)) as content:
            assert content == b"content"
            with pytest.raises(BusyError, match="1 uploads"):
                async with receiving.body(Coming(0)):
                    pass
        with pytest.raises(InputError, match="too slow"):
            async with receiving.body(Coming(60)):
                pass
        async with receiving.body(Coming(0)):  # Those before have been let go.
            pass

    monkeypatch.setattr(uploads, "BODIES", 1)
    monkeypatch.setattr(uploads, "BODY_SECONDS", 0.01)
    asyncio.run(several())

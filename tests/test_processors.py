"""The one bounded pipeline: order, bound, failures and cancellation."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy  # noqa: F401 - loads the library whose threads are counted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from rsir_tf import processors
from rsir_tf.processors import in_order, in_threads, products_in_own_thread, share_cores, usable_cores


@settings(max_examples=60)
@given(
    count=st.integers(0, 20),
    ahead=st.integers(1, 6),
    failing=st.sampled_from(["nothing", "items", "submit", "work"]),
    at=st.integers(0, 19),
)
def test_answers_come_in_order_and_a_failure_after_those_before_it(
    count: int, ahead: int, failing: str, at: int
) -> None:
    begun, taken = 0, list[int]()

    def fail(where: str, item: int) -> None:
        if where == failing and item == at:
            raise ValueError(f"{where} {item}")

    def items() -> Iterator[int]:
        for item in range(count):
            fail("items", item)
            yield item

    def work(item: int) -> int:
        time.sleep(0.001 * (item % 3))  # So that later ones end first.
        fail("work", item)
        return item * item

    with ThreadPoolExecutor(3) as pool:

        def submit(item: int) -> Future[int]:
            nonlocal begun
            fail("submit", item)
            begun += 1
            assert begun - len(taken) <= ahead
            return pool.submit(work, item)

        fails = failing != "nothing" and at < count
        answers = in_order(submit, items(), ahead)
        if fails:
            with pytest.raises(ValueError, match=f"{failing} {at}"):
                take(answers, taken)
        else:
            take(answers, taken)
    assert taken == [item * item for item in range(at if fails else count)]


def take(answers: Iterator[int], taken: list[int]) -> None:
    for answer in answers:
        taken.append(answer)  # noqa: PERF402 - one by one: `submit` looks at how many there are


def test_who_stops_taking_answers_cancels_what_waits() -> None:
    futures: list[Future[int]] = []

    def submit(item: int) -> Future[int]:
        futures.append(Future())
        if item == 0:
            futures[0].set_result(7)
        return futures[-1]

    answers = in_order(submit, range(100), 4)
    assert next(answers) == 7
    answers.close()
    assert [future.cancelled() for future in futures] == [False, True, True, True]


def test_threads_work_together_and_end_with_the_work() -> None:
    together = threading.Barrier(3, timeout=20)  # Breaks unless three wait for each other.

    def work(item: int) -> int:
        together.wait()
        return -item

    before = threading.active_count()
    assert list(in_threads(work, range(9), threads=3)) == [-item for item in range(9)]
    assert threading.active_count() == before


def test_processes_share_the_cores_and_each_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_sharing", 1)
    cores = usable_cores()
    for processes in (1, 2, cores, cores + 1):
        share_cores(processes)
        assert usable_cores() == max(1, cores // processes)


def test_products_stay_in_their_thread_until_the_last_one_leaves():
    def threads():
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with products_in_own_thread():
            with products_in_own_thread():
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == before

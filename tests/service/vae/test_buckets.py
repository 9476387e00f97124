"""Choosing batch sizes, on a hand-written run that behaves differently at small sizes."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.vae.buckets import (
    CPU_SIZES,
    CUDA_SIZES,
    GOOD_ENOUGH,
    OVERHEAD_SECONDS,
    choose,
    efficient,
    measure,
)

SIZES = (1, 2, 4, 8)
ROWS = np.arange(8, dtype=np.float32).reshape(8, 1)


class Run:
    """Doubles its rows; adds one bit where `differs` says so of a batch's size and its first row."""

    def __init__(self, differs: Callable[[int, np.ndarray], bool]) -> None:
        self._differs = differs
        self.sizes: list[int] = []

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        self.sizes.append(len(rows))
        doubled = 2 * rows
        if self._differs(len(rows), rows):
            doubled = np.nextafter(doubled, np.float32(np.inf))
        return doubled, rows.astype(np.uint8)


def test_every_size_that_gives_the_same_bits_is_measured() -> None:
    seconds = measure(Run(lambda size, rows: False), ROWS, SIZES)
    assert set(seconds) == set(SIZES)
    assert all(took > 0 for took in seconds.values())


def test_a_size_that_differs_by_one_bit_is_left_out_with_all_below_it() -> None:
    assert set(measure(Run(lambda size, rows: size == 2), ROWS, SIZES)) == {4, 8}


def test_the_largest_size_always_stays() -> None:
    assert set(measure(Run(lambda size, rows: size < 8), ROWS, SIZES)) == {8}


@pytest.mark.parametrize("row", range(8))
def test_a_difference_in_any_row_is_seen(row: int) -> None:
    def differs(size: int, rows: np.ndarray) -> bool:
        return size == 4 and row in rows

    assert set(measure(Run(differs), ROWS, SIZES)) == {8}


def test_every_size_runs_once_before_it_is_timed() -> None:
    run = Run(lambda size, rows: False)
    measure(run, ROWS, SIZES)
    assert [run.sizes.count(size) for size in SIZES] == [1 + 8, 1 + 4, 1 + 2, 2]


def test_a_size_that_does_not_divide_the_largest_is_compared_too() -> None:
    assert set(measure(Run(lambda size, rows: False), ROWS, (3, 8))) == {3, 8}
    assert set(measure(Run(lambda size, rows: size == 3 and 7 in rows), ROWS, (3, 8))) == {8}


def test_the_largest_bucket_is_the_smallest_size_of_nearly_the_best_throughput() -> None:
    # Items a second: 100, 180, 255, 260, 262; 95 % of the best is 248.9, which 4 reaches first.
    seconds = {1: 1 / 100, 2: 2 / 180, 4: 4 / 255, 8: 8 / 260, 16: 16 / 262}
    assert choose(seconds) == (1, 2, 4)


def test_the_cost_of_forming_a_batch_makes_larger_ones_worth_it() -> None:
    # 10 us an item at every size: alone equal, with 100 us a batch the largest is far ahead.
    assert choose({size: size * 1e-5 for size in (1, 2, 4, 8)}) == (1, 2, 4, 8)


def test_the_efficient_size_is_the_smallest_of_85_percent_of_the_best_throughput() -> None:
    # Items a second: 100, 180, 225, 260; 85 % of the best is 221.
    assert efficient({1: 1 / 100, 2: 2 / 180, 4: 4 / 225, 8: 8 / 260}) == 4


@given(seconds=st.dictionaries(st.sampled_from(CPU_SIZES), st.floats(1e-6, 10), min_size=1))
def test_buckets_ascend_and_hold_the_best_throughput(seconds: dict[int, float]) -> None:
    buckets = choose(seconds)
    assert set(buckets) <= set(seconds)
    assert list(buckets) == sorted(set(buckets))
    throughput = {size: size / (took + OVERHEAD_SECONDS) for size, took in seconds.items()}
    assert throughput[buckets[-1]] >= GOOD_ENOUGH * max(throughput.values())


@pytest.mark.parametrize("sizes", [CPU_SIZES, CUDA_SIZES])
def test_candidate_sizes_ascend_from_one(sizes: tuple[int, ...]) -> None:
    assert sizes[0] == 1
    assert list(sizes) == sorted(set(sizes))

import random
import re

from service.api.draws import new_request_id, new_seed


def test_ids_are_32_hexadecimal_digits_and_differ() -> None:
    ids = {new_request_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", drawn) for drawn in ids)


def test_seeds_are_spread_over_the_whole_numbers_that_javascript_reads_exactly() -> None:
    seeds = [new_seed() for _ in range(1000)]
    assert len(set(seeds)) == 1000
    assert 2**52 < max(seeds) < 2**53
    assert min(seeds) >= 0


def test_leading_zeros_are_kept() -> None:
    random.seed(0)
    while (drawn := new_request_id())[0] != "0":
        pass
    assert len(drawn) == 32
    random.seed()

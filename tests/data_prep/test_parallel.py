import os

import pytest
import torch

from data_prep.parallel import derive_seed, run_units


def square_and_process(number: int) -> tuple[int, int, int]:
    return number**2, os.getpid(), torch.get_num_threads()


def test_results_keep_the_order_of_the_units_with_one_thread_each():
    results = run_units(square_and_process, range(12), workers=2)
    assert [square for square, _, _ in results] == [number**2 for number in range(12)]
    assert os.getpid() not in {process for _, process, _ in results}
    assert {threads for _, _, threads in results} == {1}


def test_one_worker_gives_the_threads_back():
    before = torch.get_num_threads()
    assert run_units(square_and_process, [3], workers=1)[0][0] == 9
    assert torch.get_num_threads() == before


def test_no_units_are_no_error():
    assert run_units(square_and_process, [], workers=2) == []


def test_workers_have_to_be_positive():
    with pytest.raises(ValueError, match="workers is 0; expected 1 or more"):
        run_units(square_and_process, [1], workers=0)


def test_seeds_differ_by_every_part_and_stay():
    seeds = {derive_seed(*parts) for parts in [(1, 2), (2, 1), (12,), ("1", 2, 0), ("a", 1, 2)]}
    assert len(seeds) == 5
    assert derive_seed("dataset", 0, 7) == derive_seed("dataset", 0, 7)
    assert all(0 <= seed < 2**62 for seed in seeds)

"""One process agrees with itself; processes that cannot work together are refused."""

from __future__ import annotations

import pytest
import torch

from launched_processes import in_processes
from smallsteps import team
from smallsteps.errors import InternalError, TrainingError
from smallsteps.training.processes import (
    all_agree,
    check_processes,
    from_first,
    least,
    own_device,
    place_in_launch,
    seed_of,
    sum_over_processes,
)


def test_processes_that_do_not_find_each_other_or_have_nothing_to_do_are_an_error():
    with pytest.raises(InternalError, match="launched as 2 processes, but Trainer sees 1"):
        check_processes(2, 1, 64)
    with pytest.raises(
        TrainingError, match=r"5 processes share updates of 4 examples: .* Launch at most 4"
    ):
        check_processes(5, 5, 4)


def test_one_process_agrees_with_itself():
    assert all_agree(True, torch.device("cpu"))
    assert not all_agree(False, torch.device("cpu"))
    value = torch.tensor(3.5, dtype=torch.float64)
    sum_over_processes([value])
    assert from_first(value) == 3.5 and least(7, torch.device("cpu")) == 7
    assert team.from_all("mine") == ["mine"] and place_in_launch() == (0, 1)
    assert own_device(torch.device("cuda:1")) == torch.device("cuda:1")


def test_each_update_and_process_has_a_seed_of_its_own():
    seeds = {
        seed_of(seed, update, rank) for seed in range(3) for update in range(5) for rank in (0, 1)
    }
    assert len(seeds) == 30 and all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(1, 2, 0) == seed_of(1, 2, 0)


def test_the_smallest_of_all_processes_is_known_to_each():
    assert in_processes(lambda rank: least(7 - rank, torch.device("cpu"))) == [6, 6]

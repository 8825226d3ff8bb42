"""One process is a team of its own; several share work, agree with the first and fail together."""

from __future__ import annotations

import os
import socket
import time

import pytest
from accelerate.state import AcceleratorState

from launched_processes import in_processes, launch_place
from smallsteps import team
from smallsteps.errors import DataError


def raised(work):
    try:
        return work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def test_a_process_alone_does_everything_itself():
    team.join("cpu")
    assert (team.launched(), team.rank(), team.size(), team.is_first()) == (1, 0, 1, True)
    assert team.from_first(lambda: 3) == 3 and team.agreed("a") == "a"
    assert team.share_out([1, 2, 3], lambda share: [2 * item for item in share]) == [2, 4, 6]
    with pytest.raises(DataError, match="bad row"):
        team.share_out([1], lambda share: (_ for _ in ()).throw(DataError("bad row")))


def test_work_is_shared_and_comes_back_in_order_in_every_process():
    def work(rank):
        seen = []

        def double(share):
            seen.extend(share)
            return [2 * item for item in share]

        return team.share_out(range(5), double), seen

    first, second, third = in_processes(work, 3)
    assert [first[0], second[0], third[0]] == [[0, 2, 4, 6, 8]] * 3
    assert [first[1], second[1], third[1]] == [[0, 3], [1, 4], [2]]


def test_more_processes_than_items_leave_some_without_work():
    assert in_processes(lambda rank: team.share_out([7], list), 3) == [[7], [7], [7]]


def test_what_the_first_does_the_others_get_and_do_not_do():
    def work(rank):
        done = []

        def make():
            done.append(team.size())  # what it calls works as if there were no others
            return team.share_out([rank], lambda share: [f"by {item}" for item in share])

        return team.from_first(make), done, team.agreed(rank), team.size()

    assert in_processes(work) == [(["by 0"], [1], 0, 2), (["by 0"], [], 0, 2)]


def test_errors_reach_every_process():
    def work(rank):
        def refuse():
            raise DataError("row 1 is bad")

        def taken():
            raise team.ForAll("stage a")

        def share(items):
            if 1 in items:
                raise DataError(f"item 1 is bad, says process {rank}")
            return items

        return [
            raised(lambda: team.from_first(refuse)),
            raised(lambda: team.from_first(taken)),
            raised(lambda: team.share_out([0, 1], share)),
        ]

    first, second = in_processes(work)
    assert first[0] == "DataError: row 1 is bad" and second[0].startswith("FirstFailed: ")
    assert first[1] == second[1] == "ForAll: stage a"
    assert first[2] == second[2] == "DataError: item 1 is bad, says process 1"


def test_the_others_hear_of_a_process_that_is_gone():
    def work(rank):
        if rank == 1:
            os._exit(1)
        return raised(team.wait_for_all)

    lost, gone = in_processes(work)
    assert gone is None
    assert lost.startswith("ProcessLost: another process of this launch was killed")


def test_a_process_that_joins_hears_of_one_that_is_gone():
    def work(rank):
        team.wait_for_all()
        if rank == 0:
            time.sleep(0.5)  # the other one is waiting for it by then
            os._exit(1)
        team._group = None
        return raised(lambda: team.join("cpu"))

    gone, joining = in_processes(work)
    assert gone is None
    assert joining.startswith("ProcessLost: another process of this launch was killed")


def test_processes_that_do_not_find_each_other_say_why(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(taken.getsockname()[1])}
        for name, value in (address | launch_place(0, 2)).items():
            monkeypatch.setenv(name, value)
        AcceleratorState._reset_state(reset_partial_state=True)
        with pytest.raises(team.ProcessLost) as caught:
            team.join("cpu")
        AcceleratorState._reset_state(reset_partial_state=True)  # half of it is set
    message = str(caught.value)
    assert message.startswith("process 0 of 2 did not find the others (") and "in use" in message
    assert message.endswith("with the same MASTER_ADDR and a free MASTER_PORT.")
    assert "in use" in str(caught.value.__cause__)


def test_a_gpu_that_fails_while_processes_meet_is_not_taken_for_a_lost_process(monkeypatch):
    def failing(**arguments):
        raise RuntimeError("CUDA error: invalid device ordinal")

    monkeypatch.setattr("accelerate.PartialState", failing)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        team.join("cuda")


def test_other_errors_of_torch_are_not_taken_for_a_lost_process():
    def work(rank):
        def fail():
            with team.losses():
                raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        return raised(fail)

    assert in_processes(work) == ["RuntimeError: mat1 and mat2 shapes cannot be multiplied"] * 2

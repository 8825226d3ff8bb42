"""Rollouts for reinforcement learning: what is drawn depends on step, prompt and sample alone."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch

from smallsteps.errors import EngineError, RecipeError, StudentError
from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.generation.server_settings import ServerSettings
from smallsteps.methods.guided.roller import Roller
from smallsteps.training.policy import target_log_probs
from tiny_solving import Tiny
from token_server import Threads

PROMPTS = [("a", (5, 6, 7, 1)), ("b", (8, 9, 1)), ("c", (10, 11, 12, 1))]
DECODING = Decoding(max_new_tokens=8, temperature=1.0, seed=3)


@pytest.mark.parametrize("style", ["t5-scaled", "llama"])
def test_a_group_is_the_same_in_whatever_batch_and_company_it_is_drawn(tiny, style):
    student = tiny(style)
    together = Roller(PROMPTS, 3, DECODING)(student, 4, [2, 0, 1])
    alone = Roller(PROMPTS, 3, DECODING, EngineSettings(batch_size=1))
    apart = [*alone(student, 4, [2]), *alone(student, 4, [0, 1])]
    for batched, single in zip(chain(*together), chain(*apart), strict=True):
        assert replace(batched, logprobs=()) == replace(single, logprobs=())
        assert batched.logprobs == pytest.approx(single.logprobs, rel=1e-4, abs=1e-4)
    assert [[rollout.prompt for rollout in group] for group in together] == [
        ["c"] * 3,
        ["a"] * 3,
        ["b"] * 3,
    ]
    assert [[rollout.sample for rollout in group] for group in together] == [[0, 1, 2]] * 3
    assert {group[0].source for group in together} == {source for _, source in PROMPTS}


def test_steps_samples_and_seeds_draw_different_rollouts(tiny):
    student = tiny("t5-scaled")
    roll = Roller(PROMPTS, 4, DECODING)
    first = roll(student, 0, [0, 1, 2])
    targets = [rollout.target for group in first for rollout in group]
    assert len(set(targets)) > len(PROMPTS)
    assert roll(student, 1, [0, 1, 2]) != first
    other_seed = Roller(PROMPTS, 4, Decoding(max_new_tokens=8, temperature=1.0, seed=4))
    assert other_seed(student, 0, [0, 1, 2]) != first


def test_a_finished_rollout_holds_its_end_and_each_of_its_tokens_a_log_probability(tiny):
    """The end is learnt too: without it, refinement could not teach when to stop."""
    student = tiny("t5-scaled", talkative=6.0)
    groups = Roller(PROMPTS, 8, DECODING)(student, 0, [0, 1, 2])
    rollouts = [rollout for group in groups for rollout in group]
    assert {rollout.finished for rollout in rollouts} == {True, False}
    for rollout in rollouts:
        assert (rollout.target[-1] == student.end_id) == rollout.finished
        assert len(rollout.logprobs) == len(rollout.target)
        assert max(rollout.logprobs) <= 0


def test_rollouts_are_drawn_from_the_weights_as_they_are_now(tiny):
    student = tiny("t5-scaled")
    roll = Roller(PROMPTS, 2, DECODING)
    before = roll(student, 0, [0, 1, 2])
    with torch.no_grad():
        student.model.get_output_embeddings().weight.mul_(-1)
    assert roll(student, 0, [0, 1, 2]) != before


# ---- by a server that takes new weights ----

SERVED = EngineSettings(
    engine="vllm", server=ServerSettings(command="true {folder} --port {port} {memory}")
)


def served(samples: int = 2, **decoding: Any) -> Roller:
    """Rollouts by a server."""
    return Roller(PROMPTS, samples, DECODING.changed(**decoding), SERVED)


def sent(servers: Threads) -> list[str]:
    """What the one server was told, in order; requests of a step as one."""
    bodies = servers.servers[0].bodies
    told = ["write" if "prompt" in body else body.get("method", "forget") for body in bodies]
    return [word for word, before in zip(told, ["", *told], strict=False) if word != before]


def test_a_server_writes_with_the_weights_of_each_step_and_ends_with_the_last(
    tiny: Tiny, servers: Threads
) -> None:
    student = tiny("llama")
    with closing(served()) as roll:
        for step in range(3):
            groups = roll(student, step, [0, 1, 2])
            for rollout in chain(*groups):
                (own,) = target_log_probs(student, [(rollout.source, rollout.target)])
                assert sum(rollout.logprobs) == pytest.approx(own, abs=1e-4)
            with torch.no_grad():
                for weights in student.model.parameters():
                    weights.mul_(1.3)
        assert servers.running == 1
    assert servers.running == 0
    anew = ["reload_weights", "forget", "write"]
    assert sent(servers) == ["write", *anew, *anew]
    assert servers.words[0][-1] == "0.3", "the student's training needs the rest of the card"
    assert servers.environments[0]["VLLM_SERVER_DEV_MODE"] == "1"


def test_a_server_that_keeps_its_old_weights_ends_the_training_by_name(
    tiny: Tiny, servers: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = tiny("llama")
    with closing(served()) as roll:
        roll(student, 0, [0])
        monkeypatch.setattr("token_server.opened", lambda folder: tiny("llama").model)
        with torch.no_grad():
            student.model.get_output_embeddings().weight.mul_(-1)
        with pytest.raises(EngineError, match=r"step 2: .* nats a token from the student's.*local"):
            roll(student, 1, [0])


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("reload_weights", (404, {"detail": "Not Found"}), "collective_rpc: .*404: Not Found.*dev"),
        ("reload_weights", (500, {"error": {"message": "no file"}}), "status 500: no file"),
        ("forget", (200, {"success": False}), "reset_prefix_cache: the server took no new weights"),
        ("reload_weights", None, "collective_rpc: "),
    ],
)
def test_a_server_that_takes_no_new_weights_is_named(
    tiny: Tiny, servers: Threads, path: str, answer: Any, message: str
) -> None:
    student = tiny("llama")
    with closing(served()) as roll:
        roll(student, 0, [0])
        writing = servers.servers[0].answer

        def refusing(body: dict[str, Any], times: int) -> Any:
            if "prompt" not in body and body.get("method", "forget") == path:
                return answer and (*answer, {})
            return writing(body, times)

        servers.servers[0].answer = refusing
        with pytest.raises(EngineError, match=message):
            roll(student, 1, [0])


def test_another_student_gets_a_server_of_its_own(tiny: Tiny, servers: Threads) -> None:
    with closing(served()) as roll:
        for student in (tiny("llama", seed=1), tiny("llama", seed=2)):
            roll(student, 0, [0])
    assert len(servers.servers) == 2 and servers.most_running == 1


def test_what_a_server_cannot_write_is_refused_before_one_is_started(
    tiny: Tiny, servers: Threads
) -> None:
    running = SERVED.changed(server=ServerSettings(base_url="http://127.0.0.1:1/v1"))
    cases = [
        (served(temperature=0.7), "llama", RecipeError, r"no log-probabilities for sample\(t=0\.7"),
        (Roller(PROMPTS, 2, DECODING, running), "llama", RecipeError, "the weights of a training"),
        (served(), "t5", StudentError, r"engine vllm writes for causal students"),
    ]
    for roll, style, error, message in cases:
        with closing(roll), pytest.raises(error, match=message):
            roll(tiny(style), 0, [0])
    assert not servers.words

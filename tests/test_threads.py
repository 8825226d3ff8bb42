"""Threads of training and of decoding: apart, and put back."""

from __future__ import annotations

import pytest
import torch

from smallsteps import threads
from smallsteps.threads import Threads, in_use, on_decoding_threads, use


def test_a_step_of_decoding_runs_on_its_own_number_and_gives_the_other_back():
    use(Threads(training=2, decoding=1))
    seen = on_decoding_threads(torch.get_num_threads)()
    assert (seen, torch.get_num_threads()) == (1, 2)
    assert in_use() == Threads(2, 1)


def test_the_number_is_given_back_after_an_error():
    use(Threads(training=2, decoding=1))

    @on_decoding_threads
    def fails() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert torch.get_num_threads() == 2


def test_without_a_choice_decoding_takes_what_torch_was_told():
    use(Threads(2, 2))
    torch.set_num_threads(1)
    assert on_decoding_threads(torch.get_num_threads)() == 1
    assert in_use() == Threads(1, 1)
    assert threads._decoding is None


def test_the_engine_decodes_on_its_number(tiny, monkeypatch):
    from smallsteps.generation import causal, encoder_decoder
    from smallsteps.generation.engine import open_engine
    from smallsteps.generation.generator import Decoding, Request

    seen = set()
    choose = encoder_decoder.choose_tokens

    def watched(*arguments):
        seen.add(torch.get_num_threads())
        return choose(*arguments)

    monkeypatch.setattr(encoder_decoder, "choose_tokens", watched)
    monkeypatch.setattr(causal, "choose_tokens", watched)
    use(Threads(training=2, decoding=1))
    for style in ("t5", "bart", "t5gemma", "t5gemma2", "llama"):
        student = tiny(style)
        list(
            open_engine(student).generate(
                [Request("a", student.encode("Ann has"))], Decoding(max_new_tokens=4)
            )
        )
    assert seen == {1}

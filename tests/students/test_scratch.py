"""Students from scratch: tokenizers made from data, seeded weights, heads that look at their
neighbours."""

import pytest
import torch
from transformers import LlamaForCausalLM

from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.students.scratch import from_scratch, make_llama, make_model, make_t5
from smallsteps.students.settings import ScratchSettings
from smallsteps.tasks import get_task

TINY = {"d_model": 32, "d_kv": 8, "heads": 4, "d_ff": 32, "layers": 1, "dropout": 0.0}


def test_characters_are_one_token_each_and_come_back():
    student = from_scratch(
        ["肝脏未见异常。", "脾脏"], ScratchSettings(tokenizer="characters", vocabulary=50, **TINY)
    )
    ids = student.encode("脾脏未见")
    assert len(ids) == 4
    assert student.text(ids) == "脾脏未见"


def test_bytes_write_text_they_never_saw():
    student = from_scratch(
        ["Ann has 3 pens."], ScratchSettings(tokenizer="bytes", vocabulary=300, **TINY)
    )
    assert student.text(student.encode("Zoë\nhas {7}")) == "Zoë\nhas {7}"


@pytest.mark.parametrize("tokenizer", ["bytes", "characters"])
def test_only_an_encoder_decoder_closes_what_it_reads(tokenizer):
    for architecture, end in (("encoder-decoder", [1]), ("causal", [])):
        settings = ScratchSettings(
            architecture=architecture, tokenizer=tokenizer, vocabulary=300, **TINY
        )
        student = from_scratch(["Ann has 3 pens."], settings)
        assert student.tokenizer("Ann")["input_ids"] == [*student.encode("Ann"), *end]


def test_the_bundled_causal_student_writes_on_from_its_prompt():
    student = load_student("bundled-causal")
    assert student.tokenizer("Ann has")["input_ids"] == list(student.encode("Ann has"))


def test_the_seed_makes_the_weights():
    def weights(seed):
        return make_t5(ScratchSettings(**TINY), 64, seed).shared.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_head_starts_off_looking_at_the_token_before():
    def bias(neighbours):
        model = make_t5(ScratchSettings(**TINY, neighbours=neighbours), 64, 0)
        return model.decoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight

    difference = (bias(True) - bias(False)).detach()
    assert difference[1, 0] > 3 and difference[2, 1] > 3
    assert difference.count_nonzero() == 2


def test_heads_of_a_causal_student_start_off_looking_one_and_two_tokens_back():
    settings = ScratchSettings(**{**TINY, "d_kv": 32, "layers": 2}, architecture="causal")
    model = make_llama(settings, 64, 0)
    model.set_attn_implementation("eager")
    ids = torch.randint(0, 64, (1, 40))
    first, second = model(ids, output_attentions=True).attentions  # [1, heads, query, key]
    query = torch.arange(2, 40)
    assert first[0, 0, query, query - 1].min() > 0.8
    assert first[0, 1, query, query - 2].min() > 0.8
    assert second[0, 0, query, query - 1].min() > 0.8
    assert second[0, 1, 39].max() < 0.2
    plain = make_llama(settings.changed(neighbours=False), 64, 0)
    assert plain.model.layers[0].self_attn.q_proj.bias is None


@pytest.mark.parametrize("architecture", ["encoder-decoder", "causal"])
def test_fewer_heads_than_neighbours_is_fine(architecture):
    make_model(ScratchSettings(**{**TINY, "heads": 1}, architecture=architecture), 64, 0)


def test_a_causal_student_comes_back_from_its_folder(tmp_path):
    made = from_scratch(
        ["Ann has 3 pens."], ScratchSettings(**TINY, vocabulary=300, architecture="causal")
    )
    made.save(tmp_path / "student")
    student = load_student(tmp_path / "student")
    assert student.architecture == "causal" and isinstance(student.model, LlamaForCausalLM)
    assert student.max_source_tokens == 2048 and student.end_ids == {1}
    ids = torch.tensor([student.source_ids(get_task("stories"), "Ann has 3 pens.")])
    assert torch.equal(student.model(ids).logits, made.model.eval()(ids).logits)


@pytest.mark.parametrize("tokenizer", ["bytes", "characters"])
def test_the_stop_sign_is_read_where_it_was_written(tokenizer, tmp_path):
    """It is a special token of these tokenizers; left out like the others, a segment could never
    end its chain."""
    made = from_scratch(
        ["mild uptake"], ScratchSettings(tokenizer=tokenizer, vocabulary=300, **TINY)
    )
    task = get_task("pet")
    made.save(tmp_path / "student")
    for student in (made, load_student(tmp_path / "student")):
        text = student.text(student.target_ids(task, "mild uptake", last=True))
        assert text == "mild uptake<STOP>" and task.ends_chain(text, Problem("p", "?"))
        assert (
            student.text([student.markers["ES"], *student.encode("mild"), student.end_id]) == "mild"
        )

"""Models as judges, by tiny ones made on the spot."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

from smallsteps.errors import StudentError
from smallsteps.quality.model_judges import EncoderJudge, NliJudge, open_judges


@pytest.fixture
def config(tiny):
    size = len(tiny("t5").tokenizer)
    return BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=3,
        id2label={0: "CONTRADICTION", 1: "neutral", 2: "entailment"},
        label2id={"CONTRADICTION": 0, "neutral": 1, "entailment": 2},
        pad_token_id=0,
    )


def saved(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


PAIRS = [
    ("Ann lives in Rome.", "She does."),
    ("So it is.", "Is it true that the sky is blue?" * 20),
    ("A", "B"),
]


def test_a_model_judges_by_its_labels_whatever_the_batch(tiny, config, tmp_path):
    torch.manual_seed(0)
    name = saved(tmp_path, BertForSequenceClassification(config), tiny("t5").tokenizer)
    together = NliJudge(name, "cpu").verdicts(PAIRS)
    alone = [NliJudge(name, "cpu", batch_tokens=1).verdicts([pair])[0] for pair in PAIRS]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    judge = NliJudge(name, "cpu")
    assert (judge.entails, judge.contradicts) == (2, 0) and judge.verdicts([]) == []


def test_a_model_without_labels_of_inference_is_refused(tiny, config, tmp_path):
    config.id2label = {0: "POSITIVE", 1: "NEGATIVE", 2: "OTHER"}
    name = saved(tmp_path, BertForSequenceClassification(config), tiny("t5").tokenizer)
    with pytest.raises(
        StudentError,
        match=r"no model of natural-language inference \(bert\): its labels are \['POSITIVE'",
    ):
        NliJudge(name)
    with pytest.raises(StudentError, match=r"judge .*gone: no such folder"):
        NliJudge(str(tmp_path / "gone"))


def test_an_encoder_says_how_alike_texts_are(tiny, config, tmp_path):
    torch.manual_seed(0)
    name = saved(tmp_path, BertModel(config), tiny("t5").tokenizer)
    encoder = EncoderJudge(name, "cpu", batch_tokens=32)
    found = encoder.similarities([*PAIRS, ("A", "A")])
    assert all(0 <= one <= 1 for one in found) and found[-1] == pytest.approx(1, abs=1e-5)
    assert encoder.similarities(PAIRS) == pytest.approx(found[:-1])


def test_a_language_model_is_no_judge_and_no_encoder(tiny, tmp_path):
    for style, kind in (("llama", "a causal language model"), ("t5", "an encoder-decoder")):
        tiny(style).save(tmp_path / style)
        name = str(tmp_path / style)
        with pytest.raises(
            StudentError, match=r"is no model of natural-language inference.*LABEL_0"
        ):
            NliJudge(name, "cpu")
        with pytest.raises(
            StudentError, match=rf"encoder .*: this is {kind} .*expected a sentence encoder"
        ):
            EncoderJudge(name, "cpu")


def test_a_model_that_only_claims_the_labels_is_no_judge(tiny, config, tmp_path):
    """Otherwise its verdicts would be those of a layer of random weights."""
    BertModel(config).save_pretrained(tmp_path)
    tiny("t5").tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        StudentError, match=r"weights lack 'classifier.bias': it was never trained for"
    ):
        NliJudge(str(tmp_path), "cpu")


@pytest.mark.parametrize("name", ["Lexical", "lexcal", "LEXICAL "])
def test_a_misspelt_lexical_is_named(name):
    with pytest.raises(StudentError, match=r"judge .*: no such judge\. Did you mean 'lexical'"):
        open_judges(name, "lexical")
    with pytest.raises(StudentError, match=r"encoder .*: no such encoder\. Did you mean 'lexical'"):
        open_judges("lexical", name)


def test_sentences_cannot_be_judged_together_without_padding(tiny, config, tmp_path):
    tokenizer = tiny("t5").tokenizer
    name = saved(tmp_path, BertForSequenceClassification(config), tokenizer)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    for judge in (NliJudge, EncoderJudge):
        with pytest.raises(StudentError, match="has no padding token"):
            judge(name, "cpu")
        with pytest.raises(StudentError, match="batch_tokens is 0, expected at least 1"):
            judge(name, "cpu", batch_tokens=0)

"""Token scores against the model's own logits and loss, computed naively."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from smallsteps.errors import DataError
from smallsteps.segments.split import split
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.scores import TokenScores, token_scores
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")
STYLES = ["t5", "t5-scaled", "bart", "t5gemma", "t5gemma2", "llama", "qwen"]
PAIRS = [
    (
        "Ann has 3 boxes with 4 pens each. How many pens?",
        "Ann has 3 boxes, so 3 x 4 = 12. The answer is 12.",
    ),
    ("Is it true?", "Yes."),
    (
        "Tom bought 16 apples and ate 2 of them.",
        " She gives away 5 pens, so 12 - 5 = 7 pens are left.  ",
    ),
    ("How many pens are left?", "She gives away 5 pens; the answer is 7."),
]


def naive(student: Student, question: str, text: str) -> tuple[list[float], list[float]]:
    """Whole logits of one text alone."""
    source = student.source_ids(TASK, question)
    target = student.encode(text.strip())
    with torch.no_grad():
        if student.architecture == "causal":
            ids = torch.tensor([[*source, *target]], device=student.device)
            logits = student.model(ids).logits[0, len(source) - 1 : -1]
        else:
            inputs = [student.start_id, *student.target_head, *target]
            given = [torch.tensor([ids], device=student.device) for ids in (source, inputs)]
            out = student.model(input_ids=given[0], decoder_input_ids=given[1])
            logits = out.logits[0, len(student.target_head) : -1]
    log_p = logits.cpu().double().log_softmax(-1)
    loss = -log_p[torch.arange(len(target)), torch.tensor(target)]
    return (-(log_p.exp() * log_p).sum(-1)).tolist(), loss.tolist()


# random weights of this size give logits of some hundreds, hence the tolerance: float32 holds seven
# digits
def check(student: Student, found: list[TokenScores], tolerance: float = 2e-3) -> None:
    for (question, text), scores in zip(PAIRS, found, strict=True):
        entropy, loss = naive(student, question, text)
        assert scores.entropy == pytest.approx(entropy, abs=tolerance)
        assert scores.loss == pytest.approx(loss, abs=tolerance, rel=tolerance)


@pytest.mark.parametrize("style", STYLES)
def test_batched_scores_are_those_of_whole_logits_one_by_one(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    check(student, token_scores(student, TASK, PAIRS))


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_scores_do_not_depend_on_the_batch(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    together = token_scores(student, TASK, PAIRS, batch_tokens=100_000)
    alone = token_scores(student, TASK, PAIRS, batch_tokens=1)
    for one, other in zip(together, alone, strict=True):
        assert one.entropy == pytest.approx(other.entropy, abs=2e-3)
        assert one.spans == other.spans


def test_the_head_in_chunks_is_the_head_at_once(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = tiny("t5")
    monkeypatch.setattr("smallsteps.students.scores.SCORED_LOGITS", 3 * 93)
    check(student, token_scores(student, TASK, PAIRS))


def test_mean_loss_is_the_loss_that_the_model_reports(tiny: Tiny) -> None:
    student = tiny("t5-scaled")
    (scores,) = token_scores(student, TASK, PAIRS[:1])
    source = torch.tensor([student.source_ids(TASK, PAIRS[0][0])], device=student.device)
    labels = torch.tensor([student.encode(PAIRS[0][1])], device=student.device)
    with torch.no_grad():
        expected = student.model(input_ids=source, labels=labels).loss.item()
    assert sum(scores.loss) / len(scores.loss) == pytest.approx(expected, rel=1e-4)


def test_uniform_logits_give_the_logarithm_of_the_vocabulary(tiny: Tiny) -> None:
    student = tiny("t5")
    with torch.no_grad():
        student.model.get_output_embeddings().weight.zero_()
    (scores,) = token_scores(student, TASK, PAIRS[:1])
    rows = student.model.get_output_embeddings().weight.shape[0]
    expected = torch.tensor(float(rows)).log().item()
    assert scores.entropy == pytest.approx([expected] * len(scores.entropy), abs=1e-5)
    assert scores.loss == pytest.approx(scores.entropy, abs=1e-5)


def test_a_word_ruled_out_gives_no_nan(tiny: Tiny) -> None:
    student = tiny("bart")
    student.model.final_logits_bias[:, 5] = -torch.inf
    (scores,) = token_scores(student, TASK, PAIRS[:1])
    assert all(value == value for value in scores.entropy)


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2", "qwen"])
@pytest.mark.parametrize("text", [PAIRS[0][1], PAIRS[2][1]])
def test_spans_cover_the_text_and_fall_into_sub_sentences(
    tiny: Tiny, style: str, text: str
) -> None:
    student = tiny(style)
    (scores,) = token_scores(student, TASK, [("Q?", text)])
    covered = {n for start, end in scores.spans for n in range(start, end)}
    assert covered >= {n for n, c in enumerate(text) if not c.isspace()}
    assert [start for start, _ in scores.spans] == sorted(start for start, _ in scores.spans)
    assert "".join(split(text)) == text


def test_spans_count_through_characters_with_tokens_of_their_own(tiny: Tiny) -> None:
    text = "Ann has {3}\n\nboxes,  so 7"
    student = prepare(tiny("t5"), TASK, path="direct", texts=[text])
    (scores,) = token_scores(student, TASK, [("Q?", text)])
    ids = student.encode(text)
    assert len(scores.spans) == len(ids)
    for (start, end), one in zip(scores.spans, ids, strict=True):
        assert (
            student.text([one]).strip() in text[start:end] or student.text([one]) == text[start:end]
        )
    covered = {n for start, end in scores.spans for n in range(start, end)}
    assert covered >= {n for n, c in enumerate(text) if c != " "}


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_adapters_take_part(tiny: Tiny, style: str) -> None:
    student = add_lora(tiny(style), LoraSettings(rank=2), seed=1)
    plain = token_scores(student, TASK, PAIRS[:1])
    for name, parameter in student.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    found = token_scores(student, TASK, PAIRS)
    assert found[0].loss != pytest.approx(plain[0].loss, abs=1e-3)
    check(student, found)


def test_reduced_precision_is_close(tiny: Tiny) -> None:
    student = tiny("t5-scaled", talkative=1.0)
    with torch.no_grad():
        for parameter in student.model.parameters():
            parameter.mul_(0.3)
    whole = token_scores(student, TASK, PAIRS)
    reduced = token_scores(student, TASK, PAIRS, dtype="bfloat16")
    for one, other in zip(whole, reduced, strict=True):
        assert other.entropy == pytest.approx(one.entropy, abs=0.05)
        assert other.entropy != one.entropy, "computed in float32 after all"


def test_an_empty_text_scores_nothing(tiny: Tiny) -> None:
    found: list[Any] = token_scores(tiny("t5"), TASK, [("Q?", "  "), PAIRS[1]])
    assert found[0] == TokenScores([], [], [])
    assert len(found[1].loss) > 0


def test_a_text_longer_than_the_student_reads_names_its_question(tiny: Tiny) -> None:
    with pytest.raises(DataError, match=r"question 'Tom bought.*tiny-bart reads 128"):
        token_scores(tiny("bart"), TASK, [("Tom bought it", "pens " * 200)])

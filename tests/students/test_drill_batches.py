"""What an update of the pre-training reads: drills as a student reads questions later, in few
shapes."""

import random
from pathlib import Path

import pytest
import torch

import smallsteps
from smallsteps.students.drill_batches import IGNORED, ROW, packed_rows, targets, update_batches
from smallsteps.students.drills import GROUPS, drills
from smallsteps.students.loading import load_student
from smallsteps.students.pretrained import read_tokenizer
from smallsteps.students.scratch import make_llama
from smallsteps.students.settings import ScratchSettings
from smallsteps.students.student import Student
from smallsteps.tasks import get_task


@pytest.fixture(scope="module")
def causal() -> Student:
    tokenizer = read_tokenizer(Path(smallsteps.__file__).parent / "students" / "bundled")
    settings = ScratchSettings(architecture="causal", d_model=32, d_kv=8, d_ff=32, layers=2)
    return Student(make_llama(settings, len(tokenizer), 0).eval(), tokenizer)


def places_of_drills(batch, row):
    """(start, end) of each drill in a row without gaps."""
    positions = batch["position_ids"][row].tolist()
    size = int((batch["input_ids"][row] != 0).sum())
    starts = [place for place in range(size) if positions[place] == 0]
    return list(zip(starts, [*starts[1:], size], strict=True))


def test_a_causal_student_reads_a_drill_as_it_reads_a_question_and_learns_its_target(causal):
    batch = packed_rows(causal, random.Random("x"), rows=1, gap=0)
    ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
    source, target = next(drills(random.Random("x")))
    read = causal.source_ids(get_task("stories"), source)
    written = causal.target_ids(get_task("stories"), target)
    assert ids[: len(read) + len(written)] == read + written
    assert labels[: len(read)] == [IGNORED] * len(read)
    assert labels[len(read) : len(read) + len(written)] == written
    assert causal.text(read) == f"{source}\n" and written[-1] == causal.end_id


def test_packed_drills_do_not_see_each_other(causal):
    batch = packed_rows(causal, random.Random(1), rows=2, gap=0)
    with torch.no_grad():
        packed = causal.model(**{name: batch[name] for name in batch if name != "labels"}).logits
        for row in range(2):
            for start, end in places_of_drills(batch, row):
                alone = causal.model(batch["input_ids"][row : row + 1, start:end]).logits[0]
                torch.testing.assert_close(packed[row, start:end], alone, rtol=1e-4, atol=1e-5)


def test_packed_rows_are_full_and_their_padding_is_not_learnt(causal):
    batch = packed_rows(causal, random.Random(2), rows=32, gap=0)
    real = batch["input_ids"] != 0
    assert batch["input_ids"].shape == (32, ROW) and real.float().mean() > 0.9
    assert (batch["labels"][~real] == IGNORED).all()
    assert torch.isfinite(causal.model(**batch).loss)


def test_a_gap_parts_half_of_the_targets_from_their_sources_and_nothing_else(causal):
    near, far = (packed_rows(causal, random.Random(3), rows=16, gap=gap) for gap in (0, 500))
    shift = far["position_ids"] - near["position_ids"]
    learnt = near["labels"] != IGNORED
    assert torch.equal(near["input_ids"], far["input_ids"]) and (shift[~learnt] == 0).all()
    assert 0.2 < (shift[learnt] > 0).float().mean() < 0.8 and shift.max() <= 500


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_causal_student_gets_its_share_of_stories_without_an_instruction(causal, share):
    (batch,) = update_batches(causal, 0, 0, scale=0.25, share_unprompted=share)
    unlearnt = batch["input_ids"].masked_fill(batch["labels"] != IGNORED, causal.end_id)
    sources = [
        causal.text(unlearnt[row, start:end].tolist())
        for row in range(len(unlearnt))
        for start, end in places_of_drills(batch, row)
    ]
    stories = [text for text in sources if ":" not in text and text.endswith("?\n")]
    hops = [text for text in stories if text.startswith(("What", "Where")) or " is a " in text]
    assert abs((len(stories) - len(hops)) / len(sources) - share) < 0.1


def test_an_encoder_decoder_gets_a_batch_a_shape_of_each_group():
    student = load_student("bundled")
    batches = update_batches(student, seed=0, step=5, scale=0.1, gap=0)
    shapes = [shape for group in GROUPS.values() for shape in group.shapes]
    assert [(*batch["input_ids"].shape, batch["labels"].shape[1]) for batch in batches] == [
        (max(1, round(0.1 * rows)), source, target) for rows, source, target in shapes
    ]
    for batch in batches:
        assert torch.equal(batch["attention_mask"], (batch["input_ids"] != 0).long())
        lengths = batch["attention_mask"].sum(1)
        assert (batch["input_ids"][torch.arange(len(lengths)), lengths - 1] == 1).all()
        assert targets(batch) == (batch["labels"] != IGNORED).sum() > 0


@pytest.mark.parametrize("name", ["causal", "encoder-decoder"])
def test_what_an_update_reads_depends_on_its_number_alone(causal, name):
    student = causal if name == "causal" else load_student("bundled")

    def read(step):
        return [batch["input_ids"] for batch in update_batches(student, 0, step, 0.1, 64)]

    first, again, other = read(4), read(4), read(5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])

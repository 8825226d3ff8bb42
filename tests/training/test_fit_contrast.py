"""`fit` with contrasts: the language-model loss is the one without, the triplet loss falls, a
killed run goes on."""

from __future__ import annotations

import pytest
import torch

from smallsteps.training.contrast import Contrast
from smallsteps.training.fit import fit
from smallsteps.training.settings import NO_PROMPT_LOSS, TrainSettings

SETTINGS = TrainSettings(passes=6, learning_rate=3e-3, update_examples=8, evaluations=2)


def against(examples):
    """Every second example has one right and two wrong rationales more; one has no positive and is
    not usable."""
    wrong = ("she has 3 pens. The answer is 0.", "The answer is 1.")
    found = {
        e.id: Contrast(e.question, whole(e.target.replace("so", "then")), whole(*wrong))
        for e in examples[::2]
    }
    return found | {examples[1].id: Contrast(examples[1].question, (), whole("The answer is 1."))}


def whole(*texts):
    return tuple(((None, text),) for text in texts)


def still(student):
    """Without dropout, whose draws differ with the shapes of batches."""
    for module in student.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return student


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_with_weight_zero_the_student_learns_as_without_contrasts(
    tiny, direct, task, tmp_path, style
):
    examples = direct(16)
    settings = SETTINGS.changed(passes=2, learning_rate=3e-4)  # large steps magnify rounding
    one = fit(still(tiny(style)), examples, [], settings, tmp_path / "plain", task=task, seed=1)
    contrasts = against(examples)
    other = fit(
        still(tiny(style)),
        examples,
        [],
        settings,
        tmp_path / "contrast",
        task=task,
        contrasts=contrasts,
        contrast_settings=NO_PROMPT_LOSS.changed(contrast_weight=0.0),
        seed=1,
    )
    losses = [[row["train_loss"] for row in result.curves] for result in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert one.train_tokens == other.train_tokens, "the budget counts question and anchor"


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_right_and_wrong_rationales_are_pulled_apart_and_counted(
    tiny, direct, task, tmp_path, style
):
    examples = direct(16)
    result = fit(
        still(tiny(style)),
        examples,
        [],
        SETTINGS,
        tmp_path / "run",
        task=task,
        contrasts=against(examples),
        contrast_settings=NO_PROMPT_LOSS.changed(contrast_weight=20.0),
        seed=1,
    )
    first, last = result.curves[0], result.curves[-1]
    assert last["triplet"] < first["triplet"]
    assert (
        last["cos_positive"] - last["cos_negative"] > first["cos_positive"] - first["cos_negative"]
    )
    assert sum(row["usable"] for row in result.curves) / len(result.curves) == pytest.approx(0.5)
    assert all(0 <= row["active"] <= 1 for row in result.curves)


@pytest.mark.parametrize("kind", ["dpo", "orpo", "unlikelihood"])
@pytest.mark.parametrize("style", ["t5", "llama"])
def test_losses_over_pairs_make_the_right_one_likelier(tiny, direct, task, tmp_path, style, kind):
    examples = direct(16)
    result = fit(
        still(tiny(style)),
        examples,
        [],
        SETTINGS.changed(passes=8),
        tmp_path / "run",
        task=task,
        contrasts=against(examples),
        contrast_settings=NO_PROMPT_LOSS.changed(contrast=kind, contrast_weight=5.0),
        seed=1,
    )
    first = result.curves[0]
    last = {
        name: sum(row[name] for row in result.curves[-4:]) / 4
        for name in ("logp_right", "logp_wrong", "preferred", kind)
    }
    assert last["logp_right"] - last["logp_wrong"] > first["logp_right"] - first["logp_wrong"]
    assert 0 <= last["preferred"] <= 1
    assert kind == "unlikelihood" or last[kind] < first[kind], (
        "an untrained student finds wrong tokens unlikely anyway"
    )
    saved = {p.name for p in result.folder("train_loss").iterdir()}
    assert "model.safetensors" in saved


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_segments_are_compared_in_their_last(tiny, task, tmp_path, style):
    """An AS-ES student: an encoder-decoder's last segments are usable, a causal student's whole
    rows are."""
    from smallsteps.records import Chain as Pair
    from smallsteps.records import Problem, Rationale
    from smallsteps.segments.examples import build_examples
    from smallsteps.segments.label import segment_chains
    from smallsteps.students.tokens import prepare

    text = "she has 3 pens. she gets 2 pens, so she has 3 + 2 = 5 pens. The answer is 5."
    chains = [
        Pair(Problem(f"p{n}", "How many pens?", "5"), Rationale(f"r{n}", f"p{n}", text))
        for n in range(8)
    ]
    student = prepare(tiny(style), task, path="uni", texts=[text])
    segments = segment_chains(chains, "inter", task=task)
    examples = build_examples(chains, segments, task, "uni", causal=style == "llama")
    written = tuple((s.kind, s.text.strip()) for s in segments[0])
    contrasts = {
        e.id: Contrast(e.question, (written[-2:],), (written[:1], written[1:]))
        for e in examples
        if e.last
    }
    result = fit(
        still(student),
        examples,
        [],
        SETTINGS.changed(passes=3),
        tmp_path / "run",
        task=task,
        contrasts=contrasts,
        contrast_settings=NO_PROMPT_LOSS.changed(contrast_weight=5.0),
        seed=1,
    )
    usable = sum(row["usable"] for row in result.curves) / len(result.curves)
    assert usable == pytest.approx(1.0 if style == "llama" else 1 / len(written), rel=0.3)
    assert result.curves[-1]["triplet"] < result.curves[0]["triplet"]


def test_other_contrasts_are_another_run(tiny, direct, task, tmp_path):
    from smallsteps.errors import RunFolderError

    examples = direct(16)
    fit(
        tiny("t5"), examples, [], SETTINGS, tmp_path / "run", task=task, contrasts=against(examples)
    )
    with pytest.raises(RunFolderError, match="other settings"):
        fit(
            tiny("t5"),
            examples,
            [],
            SETTINGS,
            tmp_path / "run",
            task=task,
            contrasts=against(examples[::-1]),
        )

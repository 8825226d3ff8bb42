"""AS-ES data sets: one example per segment, and a pair shares the budget by its tokens."""

import pytest

from smallsteps.errors import TrainingError
from smallsteps.experiment.outcome import ChainSelection
from smallsteps.methods.as_es.config import parse_arm
from smallsteps.methods.as_es.method import as_es_parts, datasets, of_kind, segment
from smallsteps.segments.cuts import Cuts
from smallsteps.streams import Stream
from tiny_labs import tiny_lab


@pytest.fixture
def lab(tmp_path):
    with tiny_lab(tmp_path) as made:
        yield made


@pytest.fixture
def job(lab, tmp_path):
    return lab.job(0, tmp_path, "the arm")


def cut(lab, job, arm, strategy="gold"):
    chains = lab.train_chains(ChainSelection())
    segments = segment(job, chains, strategy, 1.0, None)
    return segments, datasets(job, parse_arm(arm), chains, Cuts(segments))


def test_each_segment_is_read_after_all_earlier_ones(lab, job):
    segments, examples = cut(lab, job, "ases-uni-gold")
    examples = list(examples)
    assert len(examples) == sum(map(len, segments))
    first = examples[: len(segments[0])]
    assert [example.target for example in first] == [part.text.strip() for part in segments[0]]
    assert [len(example.prefix) for example in first] == list(range(len(first)))
    assert [example.last for example in first] == [False] * (len(first) - 1) + [True]


def test_uni_path_learns_both_kinds_in_one_model(lab, job):
    _, examples = cut(lab, job, "ases-uni-gold")
    (part,) = as_es_parts(job, parse_arm("ases-uni-gold"), examples, Stream(list))
    assert part.train is examples and {example.kind for example in part.train} == {"ES", "AS"}
    assert part.student.drive.path == "uni" and part.kind is None


def test_the_halves_of_a_pair_learn_one_kind_each_and_share_the_budget_by_tokens(lab, job):
    _, examples = cut(lab, job, "ases-dual-gold")
    extractive, abstractive = as_es_parts(job, parse_arm("ases-dual-gold"), examples, Stream(list))
    assert list(extractive.train) == list(of_kind(examples, "ES")) != []
    assert list(abstractive.train) == list(of_kind(examples, "AS")) != []
    assert extractive.share + abstractive.share == pytest.approx(1)
    tokens = [job.tokens(half.student, half.train) for half in (extractive, abstractive)]
    assert extractive.share == pytest.approx(tokens[0] / sum(tokens))
    assert (extractive.student.drive.role, abstractive.student.drive.role) == ("ES", "AS")


def test_a_pair_of_which_one_half_would_learn_nothing_is_refused(lab, job):
    _, examples = cut(lab, job, "ases-dual-gold")
    with pytest.raises(TrainingError, match=r"^the arm: no segment is AS, .*segmentation\.beta"):
        as_es_parts(job, parse_arm("ases-dual-gold"), of_kind(examples, "ES"), Stream(list))

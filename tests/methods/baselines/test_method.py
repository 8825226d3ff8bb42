"""Direct fine-tuning: one example per chain, the whole chain its target."""

from smallsteps.experiment.outcome import ChainSelection
from smallsteps.methods.baselines.method import direct_part
from tiny_labs import tiny_lab


def test_an_example_is_a_whole_chain_and_the_student_writes_in_one_go(tmp_path):
    with tiny_lab(tmp_path) as lab:
        chains = lab.train_chains(ChainSelection())
        part = direct_part(lab.job(0, tmp_path), chains, chains[:2])
    assert [example.target for example in part.train] == [c.rationale.text for c in chains]
    assert all(example.prefix == () and example.kind is None for example in part.train)
    assert all(example.last for example in part.train) and len(part.validation) == 2
    assert part.student.drive.path == "direct" and part.kind is None and part.share == 1.0

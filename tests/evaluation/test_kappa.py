"""Kappa by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from smallsteps.evaluation.kappa import kappa, quadratic_weights


def test_kappa_by_hand():
    # 20 + 15 of 50 alike: observed 0.7, by chance 0.5
    assert kappa(np.array([[20.0, 5.0], [10.0, 15.0]])) == pytest.approx(0.4)


def test_quadratic_weights_by_hand():
    assert quadratic_weights(3).tolist() == [[0, 0.25, 1], [0.25, 0, 0.25], [1, 0.25, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_kappas_are_those_of_scikit_learn(seed):
    first, second = np.random.default_rng(seed).integers(0, 5, size=(2, 40))
    second[:20] = first[:20]
    table = np.zeros((5, 5))
    np.add.at(table, (first, second), 1)
    assert kappa(table) == pytest.approx(cohen_kappa_score(first, second))
    assert kappa(table, quadratic_weights(5)) == pytest.approx(
        cohen_kappa_score(first, second, weights="quadratic")
    )


def test_a_neighbouring_grade_is_a_smaller_disagreement():
    near, far = np.diag([5.0] * 5), np.diag([5.0] * 5)
    near[0, 1] = far[0, 4] = 5
    weights = quadratic_weights(5)
    assert kappa(near, weights) > 0.9 > kappa(far, weights)
    assert kappa(near) == pytest.approx(kappa(far), abs=0.02)


def test_one_label_alone_earns_nothing_and_many_tables_are_one_call():
    table = np.zeros((2, 2))
    table[1, 1] = 9
    assert kappa(table) == 0 and kappa(table, quadratic_weights(2)) == 0
    tables = np.stack([table, np.array([[20.0, 5.0], [10.0, 15.0]])])
    assert kappa(tables).tolist() == pytest.approx([0, 0.4])

"""The public names."""

import pytest

import smallsteps


def test_the_public_names_are_these():
    assert smallsteps.__all__ == sorted(
        smallsteps.__all__, key=lambda name: (name[0].islower(), name)
    )
    assert set(smallsteps.__all__) == set(smallsteps._WHERE)
    assert {"read", "segment", "build", "fit", "solve", "grade", "load", "run"} <= set(
        smallsteps.__all__
    )


@pytest.mark.parametrize("name", smallsteps.__all__)
def test_every_public_name_is_there(name):
    assert getattr(smallsteps, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        smallsteps.nonsense  # noqa: B018

"""Options fill a settings class: its defaults, its checks, and messages that name the option."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import pytest
import typer
from pydantic import Field

from smallsteps.cli.option_groups import OptionGroup, fill_settings
from smallsteps.config import Settings
from smallsteps.errors import RecipeError


class OvenSettings(Settings):
    name: str
    heat: float = Field(180.0, le=300)
    price_in: float = 0.0
    price_out: float = 0.5
    fans: dict[str, int] = Field(default_factory=dict)


GROUP = OptionGroup(
    OvenSettings,
    {
        "name": Annotated[str, typer.Option("--oven")],
        "heat": Annotated[float, typer.Option("--heat")],
        "price": Annotated[tuple[float, float], typer.Option("--price")],
    },
    pairs={"price": ("price_in", "price_out")},
)


def bake(group: OptionGroup, *arguments: str) -> tuple[str, OvenSettings, bool]:
    """What the command got from these arguments."""
    received = []
    app = typer.Typer()

    @app.command()
    @fill_settings(oven=group)
    def command(
        dough: Annotated[str, typer.Argument()],
        oven: OvenSettings,
        heat: Annotated[bool, typer.Option("--preheat")] = False,
    ) -> None:
        received.append((dough, oven, heat))

    app(list(arguments), standalone_mode=False)
    return received[0]


def test_defaults_are_those_of_the_class() -> None:
    dough, oven, preheat = bake(GROUP, "rye", "--oven", "big")
    assert (dough, preheat) == ("rye", False)
    assert oven == OvenSettings(name="big")


def test_the_fields_that_are_set_are_those_that_were_typed_a_default_too() -> None:
    assert bake(GROUP, "rye", "--oven", "big")[1].model_fields_set == {"name"}
    typed = bake(GROUP, "rye", "--oven", "big", "--heat", "180")[1]
    assert typed.model_fields_set == {"name", "heat"} and typed == OvenSettings(name="big")


def test_what_is_typed_fills_the_fields_and_two_values_fill_two_fields() -> None:
    _, oven, preheat = bake(
        GROUP, "rye", "--oven", "big", "--price", "1", "2", "--heat", "9", "--preheat"
    )
    assert oven == OvenSettings(name="big", heat=9.0, price_in=1.0, price_out=2.0) and preheat


def test_a_command_may_have_another_default_than_the_class() -> None:
    group = replace(GROUP, defaults={"heat": 20.0})
    assert bake(group, "rye", "--oven", "big")[1].heat == 20.0


def test_a_field_without_default_is_a_required_option() -> None:
    with pytest.raises(Exception, match="Missing parameter: oven_name") as raised:
        bake(GROUP, "rye")
    assert "--oven" in raised.value.format_message()


def test_an_invalid_value_is_named_by_its_option_and_not_by_its_field() -> None:
    with pytest.raises(RecipeError, match=r"^--heat: expected a number of at most 300, got 400"):
        bake(GROUP, "rye", "--oven", "big", "--heat", "400")
    with pytest.raises(RecipeError, match=r"^--price: expected a number, got nan\.$"):
        bake(GROUP, "rye", "--oven", "big", "--price", "1", "nan")


def test_the_example_of_a_valid_value_is_written_as_an_option() -> None:
    with pytest.raises(RecipeError, match=r"got 400\. Type for example --heat 180"):
        bake(GROUP, "rye", "--oven", "big", "--heat", "400")

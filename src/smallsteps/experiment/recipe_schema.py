"""The JSON Schema of a recipe, with which an editor completes and checks its YAML.

`smallsteps recipes --schema` prints it. It is read off the settings classes, so that the editor
knows what a run knows: keys, types, bounds, defaults, and the docstring of each key."""

from __future__ import annotations

from typing import Any

from smallsteps.config import json_schema
from smallsteps.experiment.recipe import Recipe


def recipe_schema() -> dict[str, Any]:
    """A JSON Schema, draft 2020-12. What holds between keys (arms and sections, say) is not in it:
    `smallsteps run RECIPE --dry-run` checks that too."""
    schema = json_schema(Recipe)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "smallsteps recipe",
        **{key: value for key, value in schema.items() if key != "title"},
    }

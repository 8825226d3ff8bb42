"""The prompts with which a chat model judges: one file per aspect, as in `teaching/prompts.py`.

The [system] message explains the aspect and its scale from 1 to 5. It is also what people read who
rate by a sheet (`sheets.py`), so that both rate the same thing. Fields in double braces:

- `question`: the question alone
- `context`: the sentences of the context, one per line
- `rationale`: the rationale to be rated

An aspect without a prompt file is always measured by its formula: readability."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from smallsteps.errors import RecipeError, nearest
from smallsteps.quality.aspects import ASPECTS
from smallsteps.teaching.prompts import Prompt, parse_prompt, read_prompt_file

JUDGE_FIELDS = ("question", "context", "rationale")


def read_judge_prompts(folder: str | None = None) -> dict[str, Prompt]:
    """Aspect → its prompt, in the order of `ASPECTS`: the file `ASPECT.txt` in `folder`, else the
    bundled one. Raises RecipeError where the folder has no such file, or another text file."""
    files = {} if folder is None else _files(folder)
    bundled = resources.files("smallsteps.quality").joinpath("prompts")
    prompts: dict[str, Prompt] = {}
    for aspect in ASPECTS:
        resource = bundled.joinpath(f"{aspect}.txt")
        if aspect in files:
            prompts[aspect] = read_prompt_file(str(files[aspect]), JUDGE_FIELDS)
        elif resource.is_file():
            text = resource.read_text(encoding="utf-8")
            prompts[aspect] = parse_prompt(aspect, text, JUDGE_FIELDS)
    return prompts


def _files(folder: str) -> dict[str, Path]:
    """Aspect → its file in the folder."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise RecipeError(
            f"judge prompts {folder}: no such folder. Name a folder with factuality.txt or the "
            "prompt of another aspect."
        )
    files = {file.stem: file for file in sorted(path.glob("*.txt"))}
    for name in files:
        if name not in ASPECTS:
            raise RecipeError(
                f"judge prompts {folder}: {name}.txt is named after no aspect."
                f"{nearest(name, ASPECTS)}"
            )
    if not files:
        raise RecipeError(
            f"judge prompts {folder}: no prompt in it. Add factuality.txt or the prompt of another "
            "aspect."
        )
    return files

"""Opens what settings name as the judge: words, a model of natural-language inference, or a chat
model."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from smallsteps.errors import InternalError, RecipeError
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat_models import open_chat, served_url
from smallsteps.generation.generator import Decoding
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.judge_prompts import read_judge_prompts
from smallsteps.quality.model_judges import open_judges
from smallsteps.quality.prompted_judge import PromptedJudge
from smallsteps.quality.scorer import Scorer
from smallsteps.quality.settings import ENDPOINT, LEXICAL, LOCAL, JudgeSettings


def open_scorer(
    settings: JudgeSettings,
    encoder: str,
    budget: Budget | None,
    access: Access,
    device: str = "auto",
    say: Callable[[str], None] | None = None,
    aspects: Collection[str] = tuple(ASPECTS),
) -> Scorer:
    """A scorer without student and references. No call is made yet. `budget`: of a chat model; None
    where none judges. `say` receives a line when it waits for a server. `aspects`: those that a
    chat model may rate; the others have their formulas.

    Raises RecipeError for an invalid prompt or URL and for options that have no effect,
    StudentError where there is no such model."""
    if not settings.is_chat:
        _check_no_effect(settings)
        return Scorer(*open_judges(settings.name, encoder, device))
    if encoder != LEXICAL:
        raise RecipeError(
            f"--encoder {encoder}: has no effect beside --judge {settings.name}, which rates what "
            "an encoder would measure. Leave it out."
        )
    if budget is None:
        raise InternalError(f"judge {settings.name}: a chat model needs a budget")
    read = read_judge_prompts(settings.prompts)
    prompts = {aspect: prompt for aspect, prompt in read.items() if aspect in aspects}
    folder = None
    chat = settings.changed(name=settings.model)
    if settings.name.startswith(LOCAL):
        folder = Path(settings.model)
    else:  # the URL is fixed, so that no folder of the model's name is taken for it
        chat = chat.changed(base_url=served_url(chat, access, "judge"))
    generator = open_chat(chat, budget, access, "judge", device=device, folder=folder, say=say)
    decoding = Decoding(max_new_tokens=settings.max_new_tokens)
    return Scorer(prompted=PromptedJudge(settings.model, generator, prompts, decoding))


def _check_no_effect(settings: JudgeSettings) -> None:
    """Raises RecipeError for options of chat models beside another judge."""
    for option, value in (("--base-url", settings.base_url), ("--judge-prompts", settings.prompts)):
        if value is not None:
            name = "MODEL" if settings.name == LEXICAL else settings.name
            raise RecipeError(
                f"{option} {value}: has no effect beside --judge {settings.name}. For a chat model "
                f"type --judge {ENDPOINT}{name} or --judge {LOCAL}FOLDER."
            )

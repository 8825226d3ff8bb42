"""Chat templates of local models. They accept less than a chat endpoint: some have no system role,
some demand that user and assistant take turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallsteps.errors import StudentError


def chat_text(
    tokenizer: Any, messages: Sequence[tuple[str, str]], name: str, thinking: bool = False
) -> str:
    """`messages`, given as (role, content), by the chat template, up to where the reply begins.

    If the template refuses or drops a system message, its text joins the user's. thinking: for
    templates that know `enable_thinking`. Raises StudentError if the template refuses the messages
    in every form."""
    texts: list[str] = []
    errors: list[str] = []
    system = [content.strip() for role, content in messages if role == "system"]
    for form in (messages, joined(messages)):
        try:
            text = tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in form],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=thinking,
            )
        except Exception as error:  # a template is foreign code: it may raise anything
            errors.append(" ".join(f"{type(error).__name__}: {error}".split()))
            continue
        if all(content in text for content in system):
            return str(text)
        texts.append(text)
    if not texts:
        raise StudentError(
            f"{name}: its chat template refuses the messages ({errors[0]}). "
            "Correct the template, or use another model."
        )
    return texts[-1]


def joined(messages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The messages without system role: its text comes before the user's, and neighbours with the
    same role are joined.

    >>> joined([("system", "Be brief."), ("user", "Why?")])
    [('user', 'Be brief.\\n\\nWhy?')]
    """
    form: list[tuple[str, str]] = []
    for role, content in messages:
        role = "user" if role == "system" else role
        if form and form[-1][0] == role:
            content = f"{form.pop()[1]}\n\n{content}"
        form.append((role, content))
    return form

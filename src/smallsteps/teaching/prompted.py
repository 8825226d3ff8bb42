"""A teacher that is a language model, asked with prompt files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from smallsteps.generation.generator import ChatGenerator, Decoding, Request
from smallsteps.tasks.base import Task
from smallsteps.teaching.lessons import CUT_OFF, Lesson, TeacherReply
from smallsteps.teaching.prompts import Prompt, read_prompt


@dataclass(frozen=True)
class PromptedTeacher:
    """A language model that explains questions as its prompts ask."""

    name: str
    generator: ChatGenerator
    task: Task
    initial: Prompt
    """For a question alone."""
    feedback: Prompt
    """For a question with a wrong rationale."""
    decoding: Decoding
    blind: Prompt = field(default_factory=lambda: read_prompt("blind"))
    """For a question with its gold answer."""

    def request(self, lesson: Lesson) -> Request:
        """The request for a lesson. Raises DataError where the prompt needs what the lesson
        lacks."""
        messages = self._prompt_for(lesson).render(self.task, lesson.problem, lesson.attempt)
        return Request(lesson.id, messages, first_sample=lesson.sample)

    def _prompt_for(self, lesson: Lesson) -> Prompt:
        if lesson.attempt is not None:
            return self.feedback
        return self.blind if lesson.hint else self.initial

    def forecast(self, lessons: Sequence[Lesson]) -> str:
        """One line on what these lessons may cost. Raises RecipeError where something must be
        bought and no key is set."""
        return self.generator.forecast(map(self.request, lessons), self.decoding)

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[TeacherReply]:
        lesson_by_id = {lesson.id: lesson for lesson in lessons}
        for reply in self.generator.generate(map(self.request, lessons), self.decoding):
            lesson = lesson_by_id[reply.id]
            tokens = reply.read + reply.tokens
            if reply.finished == "failed":
                yield TeacherReply(lesson, None, reply.error or "no reply", tokens)
            elif reply.finished == "limit":
                yield TeacherReply(lesson, None, f"{CUT_OFF} after {reply.tokens} tokens", tokens)
            else:
                yield TeacherReply(lesson, reply.text, tokens=tokens, final=reply.final)

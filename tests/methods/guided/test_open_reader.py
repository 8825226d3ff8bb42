"""Opening a reader: a folder whose weights are here, or a served model."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch

from loopback import completion
from smallsteps.errors import RecipeError
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.methods.guided.config import ReaderSettings
from smallsteps.methods.guided.open_reader import open_reader
from smallsteps.methods.guided.reader import ReaderQuestion
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains

TASK = get_task("facts")
PROBLEM = make_chains(1, 1)[0].problem


@pytest.fixture
def budget(tmp_path):
    with closing(ReplyStore(tmp_path / "replies.sqlite")) as store:
        yield Budget(store, "job")


def test_a_folder_reads_with_its_weights_and_tells_likelihoods(tiny_chat, tmp_path, budget):
    settings = ReaderSettings(name=str(tiny_chat(tmp_path / "model")), max_new_tokens=4)
    opened = open_reader(settings, TASK, budget, Access())
    ((answer,),) = opened.reader.answers([ReaderQuestion(PROBLEM)])
    assert answer.tokens > 4 and opened.reader.name == settings.name
    messages = opened.reader.messages(ReaderQuestion(PROBLEM))
    assert opened.likelihood.log_probs([(messages, "Italy")])[0] < 0


def test_a_folder_reads_in_the_dtype_that_is_named(tiny_chat, tmp_path, budget):
    settings = ReaderSettings(name=str(tiny_chat(tmp_path / "model")))
    opened = open_reader(settings, TASK, budget, Access(), dtype="bfloat16")
    assert opened.reader.generator.student.dtype == torch.bfloat16


def test_a_reader_that_the_run_trained_lies_in_a_folder_that_its_name_does_not_say(
    tiny_chat, tmp_path, budget
):
    folder = tiny_chat(tmp_path / "model")
    opened = open_reader(ReaderSettings(name="trained"), TASK, budget, Access(), folder)
    assert opened.reader.name == "trained" and opened.likelihood is not None


def test_a_served_model_has_no_likelihoods(server, budget):
    server.answer = lambda body, times: (200, completion("Italy"), {})
    settings = ReaderSettings(name="m", base_url=server.url)
    opened = open_reader(settings, TASK, budget, Access())
    ((answer,),) = opened.reader.answers([ReaderQuestion(PROBLEM)])
    assert answer.answer == "Italy" and opened.likelihood is None
    assert server.bodies[0]["model"] == "m" and server.bodies[0]["max_tokens"] == 32


def test_a_folder_that_is_not_there_is_no_name_of_a_model(tmp_path, budget):
    missing = ReaderSettings(name=f"{tmp_path}/nowhere")
    with pytest.raises(RecipeError, match="nowhere: no such file or folder"):
        open_reader(missing, TASK, budget, Access())


def test_a_prompt_that_is_not_there_is_refused_before_anything_is_loaded(tmp_path, budget):
    settings = ReaderSettings(name=str(tmp_path), guided="nowhere")
    with pytest.raises(RecipeError, match="nowhere"):
        open_reader(settings, TASK, budget, Access())

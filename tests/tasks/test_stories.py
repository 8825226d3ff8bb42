"""The bundled word problems: gold chains are right, labelled, and a pure function of their seed."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.segments.split import split
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import LARGEST, STEPS, make_chains, story
from smallsteps.tasks.story import STYLES

OPERATE = {"+": int.__add__, "-": int.__sub__, "x": int.__mul__, "/": int.__floordiv__}


@pytest.mark.parametrize("difficulty", list(STEPS))
def test_every_equation_is_right_and_each_step_goes_on_from_the_one_before(difficulty):
    for index in range(300):
        made = story(5, index, difficulty)
        for step in made.steps:
            assert OPERATE[step.operator](step.left, step.right) == step.result
            assert all(1 <= number <= LARGEST for number in (step.left, step.right, step.result))
        for before, after in zip(made.steps, made.steps[1:], strict=False):
            assert after.left == before.result
        assert STEPS[difficulty][0] <= len(made.steps) <= STEPS[difficulty][1]


def test_numbers_of_the_chain_stand_in_the_question_or_were_inferred_before():
    for index in range(200):
        made = story(6, index)
        known = {word.strip(".,?") for word in made.text().split() if word.strip(".,?").isdigit()}
        for step in made.steps:
            assert {str(step.left), str(step.right)} <= known
            known.add(str(step.result))


@pytest.mark.parametrize("style", range(STYLES))
def test_the_extractor_reads_the_gold_answer_off_every_style(style):
    task = get_task("stories")
    for index in range(100):
        made = story(7, index)
        text = "".join(piece for _, piece in made.pieces(style))
        assert task.extract(text, False, None) == str(made.answer)
        assert task.ends_chain(text)


def test_gold_pieces_are_the_splitters_own_sub_sentences():
    for chain in make_chains(200, seed=8):
        assert [text for _, text in chain.rationale.gold] == split(chain.rationale.text)


def test_the_same_seed_gives_the_same_problems_and_another_seed_others():
    assert make_chains(20, seed=1) == make_chains(20, seed=1)
    assert not {c.problem.question for c in make_chains(200, 1)} & {
        c.problem.question for c in make_chains(200, 2)
    }


def test_questions_of_one_set_are_all_different():
    questions = [chain.problem.question for chain in make_chains(500, seed=3, difficulty="easy")]
    assert len(set(questions)) == 500


def test_an_unknown_difficulty_names_the_nearest():
    with pytest.raises(RecipeError, match=r"unknown difficulty 'medum'\. Did you mean 'medium'\?"):
        story(0, 0, "medum")

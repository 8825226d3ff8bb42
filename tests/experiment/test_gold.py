"""The entropies that the page shows: cut at tokens, and the pieces are the text."""

from smallsteps.experiment.gold import entropy_tokens
from smallsteps.students.scores import TokenScores


def scores(spans, entropy):
    return TokenScores(spans=spans, entropy=entropy, loss=[0.0] * len(spans))


def test_what_lies_between_two_tokens_goes_to_the_one_before():
    tokens = entropy_tokens("Ann  has 3.", scores([(0, 3), (5, 8), (9, 11)], [0.1, 0.25, 1.0]))
    assert tokens == [
        {"text": "Ann  ", "entropy": 0.1},
        {"text": "has ", "entropy": 0.25},
        {"text": "3.", "entropy": 1.0},
    ]


def test_text_before_the_first_token_is_kept():
    tokens = entropy_tokens("  Ann", scores([(2, 5)], [0.5]))
    assert tokens == [{"text": "  Ann", "entropy": 0.5}]


def test_tokens_that_share_a_character_count_as_one_with_their_entropies_added():
    tokens = entropy_tokens("é3", scores([(0, 1), (0, 1), (1, 2)], [0.5, 0.25, 1.0]))
    assert tokens == [{"text": "é", "entropy": 0.75}, {"text": "3", "entropy": 1.0}]

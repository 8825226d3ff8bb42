"""Text through a tokenizer that cannot write it comes back as it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from smallsteps.students.characters import CharacterMap


@settings(max_examples=200)
@given(st.text(alphabet="ab {}\n", max_size=12))
def test_any_mixture_of_spaces_and_mapped_characters_comes_back(text: str) -> None:
    """Against a tokenizer that, like T5's, keeps only the words."""
    words: list[str] = []

    def plain(run: str) -> list[int]:
        found = run.split()
        words.extend(found)
        return [100 + len(words) - len(found) + n for n in range(len(found))]

    mapped = CharacterMap({"{": 1, "}": 2, "\n": 3, " ": 4})
    ids = mapped.encode(text, plain)
    assert mapped.decode(ids, lambda run: " ".join(words[i - 100] for i in run)) == text


def test_pieces_are_the_text_with_places() -> None:
    mapped = CharacterMap({"{": 1, " ": 4})
    pieces = list(mapped.pieces("a {b  c"))
    assert [(start, piece) for start, piece, _ in pieces] == [
        *((0, "a"), (1, " "), (2, "{"), (3, "b"), (4, " "), (5, " "), (6, "c"))
    ]
    assert [token for *_, token in pieces] == [None, 4, 1, None, 4, 4, None]
    assert "".join(piece for _, piece, _ in pieces) == "a {b  c"

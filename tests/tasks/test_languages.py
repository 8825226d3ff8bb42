"""Languages: guessed from script and frequent words; closings, numbers and verdicts as each one
writes them."""

from __future__ import annotations

import re

import pytest

from smallsteps.errors import RecipeError
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.languages import LANGUAGES, guess


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Ann has 3 apples and buys 4 more. How many apples does she have in total?", "en"),
        ("小明有3个苹果，又买了5个。", "zh"),
        ("太郎はリンゴを3個持っています。", "ja"),
        ("안나는 사과 3개를 가지고 있다.", "ko"),
        ("У Анны 3 яблока, она покупает ещё 4.", "ru"),
        ("لدى آنا 3 تفاحات واشترت 4.", "ar"),
        ("अन्ना के पास 3 सेब हैं।", "hi"),
        ("Anna hat 3 Äpfel und kauft 4. Wie viele Äpfel hat sie?", "de"),
        (
            "Anna a 3 pommes et elle achète 4 pommes. Combien de pommes a-t-elle dans le panier ?",
            "fr",
        ),
        ("Ana tiene 3 manzanas y compra 4 en la tienda. ¿Cuántas manzanas tiene?", "es"),
        ("Anna heeft 3 appels en koopt er 4. Hoeveel appels heeft zij?", "nl"),
        ("3 + 4 = 7", "en"),
        ("What do I do to be as good as Zoe?", "en"),
        ("Is the de la Rosa painting in el Prado?", "en"),
        ("", "en"),
        ("The De La Cruz family lives in El Paso and has 3 cars.", "en"),
        ("In the story, 小明 has 3 apples and the teacher has 5 of them.", "en"),
    ],
)
def test_the_language_is_guessed_and_english_in_doubt(text: str, code: str) -> None:
    assert guess([text]) == code


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_every_closing_is_read_back_by_its_own_task(code: str) -> None:
    for name, answer in (
        ("gsm8k", "7"),
        ("numbers", "7"),
        ("numbers", "Rome"),
        ("text", "Rome"),
        ("hotpotqa", "Rome"),
    ):
        task = get_task(name).in_language(code)
        closed = task.close("3 + 4 = 7", answer)
        assert task.ends_chain(closed), closed
        assert task.same(task.extract(closed, False, None), answer), closed
        assert task.close(closed, answer) == closed
        assert get_task(task.name).closing == task.closing
    english = "So 3 + 4 = 7. The answer is 7."
    assert get_task("gsm8k").in_language(code).extract(english, False, None) == "7"


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_yes_and_no_are_read_in_every_language(code: str) -> None:
    task, language = get_task("strategyqa").in_language(code), LANGUAGES[code]
    for verdict, words in (("yes", language.yes), ("no", language.no)):
        for word in words.split("|"):
            assert task.extract(task.close("3.", word), False, None) == verdict, (code, word)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("3,5", "3.5"),
        ("0,75", "0.75"),
        ("1.234,5", "1234.5"),
        ("1.500", "1500"),
        ("1.5", "1.5"),
        ("12.345.678", "12345678"),
        ("1,234.50", "1234.5"),
        ("1,234", "1.2340"),
        ("2,5 Millionen", "2500000"),
    ],
)
def test_a_decimal_comma_is_one_where_the_language_writes_it(said: str, value: str) -> None:
    german, english = get_task("gsm8k-de"), get_task("gsm8k")
    answer = german.extract(f"Die Antwort ist {said}.", False, None)
    assert german.same(answer, value) and german.same(answer, said)
    assert german.gold(Problem("q", "?", said)) == said
    assert english.extract("The answer is 3,5.", False, None) is None


def test_an_answer_with_three_decimals_is_not_read_back_as_thousands() -> None:
    german = get_task("numbers-de")
    answer = german.extract("Die Antwort ist 1,234 kg.", False, None)
    assert german.same(answer, "1,234") and not german.same(answer, "1234")


def test_a_task_keeps_its_language_in_its_name() -> None:
    task = get_task("numbers-zh")
    assert (task.name, task.language, task.joiner) == ("numbers-zh", "zh", "")
    assert get_task("numbers-en") is get_task("numbers")
    assert task.in_language("zh") is task
    with pytest.raises(RecipeError, match=re.escape("no language 'xx'.")):
        get_task("numbers").in_language("xx")
    with pytest.raises(RecipeError, match="no task 'numbers-xx'"):
        get_task("numbers-xx")
    with pytest.raises(RecipeError, match="task 'pet' is written in Chinese"):
        get_task("pet").in_language("de")

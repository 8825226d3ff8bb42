"""Languages: how a chain closes, how numbers, sentences and words are written. A setting of every
task.

A task in another language has the language's code behind its name (`numbers-zh`, `gsm8k-de`): the
name is all that recipes, student folders and signatures need to keep. `guess` names the language of
a text from its script and its most frequent words; in doubt it says English."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Tokenizer = Literal["13a", "intl", "zh", "char"]


@dataclass(frozen=True)
class Language:
    """One language."""

    code: str
    """ISO 639-1."""
    name: str
    closing: str
    """The sentence that ends a chain."""
    closing_pattern: str
    """Regular expression of its phrase, case-insensitive."""
    words: str = ""
    """Frequent words that other languages of its script lack, for guessing."""
    tail: str = ""
    """Regular expression of what may follow the answer in the closing (`です`)."""
    yes: str = "yes|true"
    no: str = "no|false"
    decimal_comma: bool = False
    """3,5 is three and a half, 1.000 a thousand."""
    tokenizer: Tokenizer = "intl"
    """sacrebleu's, for BLEU."""
    spaced: bool = True
    """Words are set apart by spaces; else ROUGE-L compares characters and segments are joined
    without a space."""


_ALL = (
    Language(
        "en",
        "English",
        "The answer is {answer}.",
        r"\banswer\s+is(?=\b(?!['’])|n['’]t\b)",
        tokenizer="13a",
        words="the of and is to in that was has how many each she they",
    ),
    Language(
        "de",
        "German",
        "Die Antwort ist {answer}.",
        r"\bantwort\s+(?:ist|lautet|heißt)\b",
        decimal_comma=True,
        words="der die und ist das nicht ein eine von mit wie viele hat sie auch pro",
        yes="ja|wahr|richtig",
        no="nein|falsch",
    ),
    Language(
        "fr",
        "French",
        "La réponse est {answer}.",
        r"\br(?:é|e\u0301|e)ponse\s+est\b",
        decimal_comma=True,
        words="le la les des et est une dans pour combien elle il sont du que avec",
        yes="oui|vrai",
        no="non|faux",
    ),
    Language(
        "es",
        "Spanish",
        "La respuesta es {answer}.",
        r"\brespuesta\s+es\b",
        decimal_comma=True,
        words="el los las y es una en por cuántos cuántas tiene que del con más",
        yes="sí|si|verdadero|cierto",
        no="no|falso",
    ),
    Language(
        "it",
        "Italian",
        "La risposta è {answer}.",
        r"\brisposta\s+(?:è|e\u0300|e['’])",
        decimal_comma=True,
        words="il gli e è di che per una quanti quante ha sono della nel con più",
        yes="sì|si|vero",
        no="no|falso",
    ),
    Language(
        "pt",
        "Portuguese",
        "A resposta é {answer}.",
        r"\bresposta\s+(?:é|e\u0301)",
        decimal_comma=True,
        words="o os as e é uma em para quantos quantas tem não do da com mais",
        yes="sim|verdadeiro",
        no="não|nao|falso",
    ),
    Language(
        "nl",
        "Dutch",
        "Het antwoord is {answer}.",
        r"\bantwoord\s+is\b",
        decimal_comma=True,
        words="de het een en van is dat niet hoeveel heeft zij met voor zijn per",
        yes="ja|waar",
        no="nee|onwaar",
    ),
    Language(
        "sv",
        "Swedish",
        "Svaret är {answer}.",
        r"\bsvaret\s+(?:är|a\u0308r)\b",
        decimal_comma=True,
        words="och är att det en ett som på har hur många för inte med av",
        yes="ja|sant",
        no="nej|falskt",
    ),
    Language(
        "pl",
        "Polish",
        "Odpowiedź to {answer}.",
        r"\bodpowied(?:ź|z\u0301|z)\s+(?:to|brzmi)\b",
        decimal_comma=True,
        words="i w na jest nie się z do ile ma każdy po razem czy więc",
        yes="tak|prawda",
        no="nie|fałsz",
    ),
    Language(
        "tr",
        "Turkish",
        "Cevap {answer}.",
        r"\b(?:cevap|yanıt)\b\s*:?",
        decimal_comma=True,
        tail=r"['’]?(?:d[iıuü]r|t[iıuü]r)",
        words="ve bir bu kaç ne için var her ile daha toplam olan",
        yes="evet|doğru",
        no="hayır|yanlış",
    ),
    Language(
        "vi",
        "Vietnamese",
        "Đáp án là {answer}.",
        r"(?:đáp\s+án|câu\s+trả\s+lời)\s+là",
        decimal_comma=True,
        words="và là có của cho một bao nhiêu mỗi số được với",
        yes="có|đúng",
        no="không|sai",
    ),
    Language(
        "id",
        "Indonesian",
        "Jawabannya adalah {answer}.",
        r"\bjawaban(?:nya)?\s+adalah\b",
        decimal_comma=True,
        words="dan yang di adalah berapa untuk dengan ada dari setiap itu",
        yes="ya|benar",
        no="tidak|salah",
    ),
    Language(
        "ru",
        "Russian",
        "Ответ: {answer}.",
        r"\bответ\b\s*(?:[:—–-]|равен|это|будет)",
        decimal_comma=True,
        yes="да|верно",
        no="нет|неверно",
    ),
    Language(
        "ar",
        "Arabic",
        "الإجابة هي {answer}.",
        r"(?:الإجابة|الاجابة|الجواب)\s+(?:هي|هو)",
        yes="نعم|صحيح",
        no="لا|خطأ",
    ),
    Language(
        "hi",
        "Hindi",
        "उत्तर {answer} है।",
        r"उत्तर\s*(?:है\s*)?:?",
        tail=r"\s*(?:है|हैं)",
        yes="हाँ|हां|सही",
        no="नहीं|गलत",
    ),
    Language(
        "bn",
        "Bengali",
        "উত্তর হল {answer}।",
        r"উত্তর\s*(?:হল|হলো|:)",
        yes="হ্যাঁ|সত্য",
        no="না|মিথ্যা",
    ),
    Language(
        "th",
        "Thai",
        "คำตอบคือ {answer}",
        r"คำตอบ\s*(?:คือ|:)",
        tokenizer="char",
        spaced=False,
        yes="ใช่|จริง",
        no="ไม่ใช่|ไม่|เท็จ",
    ),
    Language(
        "ko",
        "Korean",
        "정답은 {answer}입니다.",
        r"(?:정답|답)\s*(?:은|:)",
        tail=r"(?:입니다|이다|이에요|예요)",
        yes="예|네|참",
        no="아니요|아니오|거짓",
    ),
    Language(
        "zh",
        "Chinese",
        "答案是{answer}。",
        r"答案\s*(?:就是|应该是|應該是|等于|是|为|為|[:：])",
        tokenizer="zh",
        spaced=False,
        yes="是的|是|对|對|正确|正確",
        no="不是|不对|不對|否|错误|錯誤|错",
    ),
    Language(
        "ja",
        "Japanese",
        "答えは{answer}です。",
        r"(?:答え|答|解答|正解)\s*(?:は|[:：])",
        tokenizer="char",
        spaced=False,
        tail=r"(?:です|である|だ|になります|となります|になる|となる)",
        yes="はい|正しい",
        no="いいえ|正しくない",
    ),
)

LANGUAGES: dict[str, Language] = {language.code: language for language in _ALL}
"""Every language by its code."""

ENGLISH = LANGUAGES["en"]


def closing_pattern(code: str) -> str:
    """The closing phrase of a language, or the English one, which teachers and templates write
    everywhere."""
    return (
        ENGLISH.closing_pattern
        if code == "en"
        else f"{LANGUAGES[code].closing_pattern}|{ENGLISH.closing_pattern}"
    )


def bare_answer(tail_text: str, code: str) -> str:
    """What a closing says without its full stop and the words that a language puts behind an
    answer.

    >>> bare_answer("Romeです。", "ja"), bare_answer("Dec. 10, 1817.", "en")
    ('Rome', 'Dec. 10, 1817')
    """
    bare = tail_text.rstrip(" .。।") or tail_text
    tail = LANGUAGES[code].tail
    return (re.sub(rf"(?:{tail})$", "", bare).rstrip() or bare) if tail else bare


_SCRIPTS = {
    "kana": re.compile("[\u3041-\u30ff]"),
    "han": re.compile("[\u3400-\u9fff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "ru": re.compile("[\u0400-\u04ff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "bn": re.compile("[\u0980-\u09ff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "latin": re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
}
_WORD = re.compile(r"[^\W\d_]+")
_FREQUENT = {
    language.code: frozenset(language.words.split()) for language in _ALL if language.words
}
MOST_CHARACTERS = 100_000
"""Of a data set that its language is guessed from."""


def guess(texts: Iterable[str]) -> str:
    """The code of the language that `texts` are written in; `en` where it is not clear.

    >>> guess(["小明有3个苹果，又买了5个。"]), guess(["Anna hat 3 Äpfel und kauft 4. Wie viele Äpfel hat sie?"])
    ('zh', 'de')
    """
    sample = ""
    for text in texts:
        sample += f" {text}"
        if len(sample) > MOST_CHARACTERS:
            break
    sample = sample[:MOST_CHARACTERS]
    counts = {name: len(script.findall(sample)) for name, script in _SCRIPTS.items()}
    counts["han"] *= 2  # a character is worth about two letters
    if counts["kana"] * 10 > counts["han"] and counts["kana"]:
        counts["ja"] = counts.pop("kana") + counts.pop("han")
    else:
        counts["zh"] = counts.pop("han")
    script = max(counts, key=lambda name: counts[name])
    if counts[script] == 0:
        return "en"
    return script if script in LANGUAGES else _latin(sample)


def _latin(sample: str) -> str:
    word_counts = Counter(_WORD.findall(sample.lower()))
    total = word_counts.total()
    scores = {
        code: sum(word_counts[word] for word in frequent) for code, frequent in _FREQUENT.items()
    }
    best = max(scores, key=lambda code: (scores[code], code == "en"))
    different = sum(word in word_counts for word in _FREQUENT[best])
    clear = (
        different >= 3 and scores[best] >= max(4, 0.08 * total) and scores[best] >= 2 * scores["en"]
    )
    return best if best == "en" or clear else "en"

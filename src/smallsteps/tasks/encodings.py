"""Which encoding bytes are likely in that are no UTF-8: for an error message, which shows the text
as it would read, so that a wrong guess is seen.

Almost any bytes can be decoded as Chinese: `é` and a letter after it are one character in GB18030.
So what counts is which bytes occur. In Western text bytes above 127 stand alone among ASCII
letters; in Cyrillic text they fill whole words; in Chinese, Japanese and Korean text they come in
pairs, whose first bytes lie where the common characters of each encoding are."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 0.9
"""The share of bytes that must lie where a language has its common characters."""
HALF = 0.5
CYRILLIC_WORD = 3
"""Least mean number of bytes above 127 in a row, where they are the letters of words."""
_KANA = re.compile(r"[\u3041-\u30ff]")
_KANA_SHARE = 0.15
"""Japanese text has more kana than this among its wide characters."""
_CENTRAL = re.compile(rb"[A-Za-z][\xb3\xb9\xea\x9c\x9f]|[\xb3\xa3\xb9][a-z]")
"""Letters of windows-1250, Polish above all, that are ³, ¹ and the like in windows-1252."""


def likely_encoding(raw: bytes) -> str:
    """The likely encoding of bytes that are no UTF-8, by its usual name."""
    for name, codec, is_likely in (
        ("GB18030", "gb18030", _is_chinese),
        ("EUC-KR", "euc_kr", _is_korean),
        ("BIG5", "big5", _is_traditional),
        ("SHIFT_JIS", "shift_jis", _is_japanese),
    ):
        pairs = _pairs(raw)
        if len(pairs) >= 2 and is_likely(pairs) and _decodes(raw, codec):
            return name
    runs = re.findall(rb"[\x80-\xff]+", raw)
    above = b"".join(runs)
    if runs and len(above) / len(runs) >= CYRILLIC_WORD:
        # the small letters of the two: half of the letters above 191 each
        return "WINDOWS-1251" if _share(above, 0xE0, 0xFF) >= HALF else "KOI8-R"
    central = len(_CENTRAL.findall(raw))
    return "WINDOWS-1250" if central * 5 > len(above) and b"\xb3" in raw else "WINDOWS-1252"


def _pairs(raw: bytes) -> list[bytes]:
    """Each byte above 127 with the byte after it."""
    return re.findall(rb"[\x80-\xff][\x00-\xff]", raw)


def _firsts(pairs: Sequence[bytes]) -> bytes:
    return bytes(pair[0] for pair in pairs)


def _share(values: bytes, low: int, high: int) -> float:
    """The share of the bytes from `low` to `high`."""
    return sum(low <= value <= high for value in values) / len(values)


def _in_two(pairs: Sequence[bytes]) -> bool:
    """Whether second bytes are above 127 too."""
    return sum(pair[1] >= 0xA1 for pair in pairs) >= MOST * len(pairs)


def _is_chinese(pairs: Sequence[bytes]) -> bool:
    """Punctuation and the common characters of GB 2312, not all of them where Hangul would be."""
    firsts = _firsts(pairs)
    common = sum(0xA1 <= first <= 0xA3 or 0xB0 <= first <= 0xD7 for first in firsts)
    return _in_two(pairs) and common >= MOST * len(firsts) and not _is_hangul(firsts)


def _is_korean(pairs: Sequence[bytes]) -> bool:
    return _in_two(pairs) and _is_hangul(_firsts(pairs))


def _is_hangul(firsts: bytes) -> bool:
    """Whether all common characters are where EUC-KR has Hangul. Of Chinese ones half are."""
    letters = bytes(first for first in firsts if first >= 0xB0)
    return len(letters) >= 6 and _share(letters, 0xB0, 0xC8) == 1


def _is_traditional(pairs: Sequence[bytes]) -> bool:
    """The common characters of Big5; letters of Western text are higher."""
    return _share(_firsts(pairs), 0xA1, 0xC6) >= MOST


def _is_japanese(pairs: Sequence[bytes]) -> bool:
    """The first bytes of Shift JIS, and kana: curly quotes of windows-1252 look like kanji."""
    text = b"".join(pairs).decode("shift_jis", "ignore")
    wide = [letter for letter in text if not letter.isascii()]
    kana = len(_KANA.findall(text))
    return _share(_firsts(pairs), 0x81, 0x9F) >= HALF and kana >= _KANA_SHARE * len(wide) > 0


def _decodes(raw: bytes, codec: str) -> bool:
    try:
        raw.decode(codec)
    except UnicodeDecodeError:
        return False
    return True

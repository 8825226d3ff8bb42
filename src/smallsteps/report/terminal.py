"""What the terminal shows: the results table, and chains coloured by ES and AS, at once or as they
are written.

Colour never stands alone: each segment opens with its tag, [ES] or [AS], so that a log file or a
colour-blind reader loses nothing. Generated text cannot move the cursor or change colours: its
control characters are shown, not obeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smallsteps.evaluation.overlap import judged_kind
from smallsteps.records import Kind, Segment
from smallsteps.report.verdict import (
    amount,
    arm_names,
    baseline,
    comparisons,
    duration,
    excludes_zero,
    metric_name,
    number,
    p_value,
    summaries,
)
from smallsteps.report.visible import visible

STYLES: dict[Kind | None, str] = {"ES": "cyan", "AS": "yellow", None: ""}
SHORT_ENDINGS = {
    "stop_sign": "stop",
    "end": "end",
    "limit": "limit",
    "empty": "empty",
    "repetition": "loop",
}


def results_table(results: Mapping[str, Any]) -> Table:
    """The results of a run, one row per arm (several seeds: pooled, or their mean) and a grey row
    per seed below it.

    `results` is the object of results.json (schema: `page.py`). The column "against" holds the
    paired difference from the baseline with its interval and McNemar's p (the bootstrap's where
    there is none); * where it excludes zero."""
    base = baseline(results)
    rows = summaries(results)
    metric = metric_name(rows[0].get("metric")) if rows else "score"
    compared = bool(base) and len(arm_names(results)) > 1
    title = Text(visible(str(results.get("title") or "Results")), style="bold")
    table = Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("arm", overflow="fold", min_width=8)
    table.add_column(Text(f"{metric}\n95 %"), justify="right")
    if compared:
        table.add_column(Text(f"against\n{visible(str(base))}"), justify="right")
    table.add_column("un-\nparsed", justify="right")
    table.add_column("chains\nended")
    for header in ("tokens\npasses", "per\nanswer"):
        table.add_column(header, justify="right")
    for row in rows:
        table.add_section()
        tests = [
            t
            for t in comparisons(results)
            if str(t.get("arm")) == row["name"] and str(t.get("against")) == base
        ]
        against = _against(tests[0]) if len(tests) == 1 else f"{len(tests)} seeds" if tests else "–"
        table.add_row(
            Text(visible(row["name"]), style="bold"), *_cells(row, against if compared else None)
        )
        if row["seeds"] > 1:
            for single in (r for r in results["arms"] if str(r["name"]) == row["name"]):
                seed = single.get("seed")
                own = [
                    t
                    for t in results.get("comparisons", ())
                    if (str(t.get("arm")), str(t.get("against")), t.get("seed"))
                    == (row["name"], base, seed)
                ]
                against = _against(own[0]) if own else "–"
                table.add_row(
                    Text(f"  seed {seed}"),
                    *_cells(single, against if compared else None),
                    style="bright_black",
                )
    if compared:
        table.caption = "* the 95 % interval of the paired difference excludes zero"
    return table


def rounds_table(results: Mapping[str, Any]) -> Table:
    """The rounds of tailored learning: for each arm and seed a row for each student, the untrained
    one first."""
    table = Table(
        title=Text("Rounds", style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("arm", overflow="fold", min_width=8)
    for header in (
        "round",
        "exam\n%",
        "validation\n%",
        "test\n%",
        "mis-\ntakes",
        "repaired\nbroken",
        "taught\ntokens",
    ):
        table.add_column(header, justify="right")
    last: tuple[Any, Any] | None = None
    for row in results.get("rounds", ()):
        own = (row["arm"], row["seed"])
        if own != last:
            table.add_section()
        bought = (
            f"{row['kept']} of {row['calls']}\n{amount(row['teacher_tokens'])}"
            if row["calls"]
            else "–"
        )
        first = row["round"] == 0
        table.add_row(
            Text(visible(f"{row['arm']}\nseed {row['seed']}") if own != last else "", style="bold"),
            str(row["round"]),
            number(row["exam"]),
            *(_interval(row, name) for name in ("validation", "test")),
            str(row["mistakes"]),
            "–" if first else f"{row['repaired']}\n{row['broken']}",
            bought,
        )
        last = own
    return table


def _interval(row: Mapping[str, Any], name: str) -> str:
    return f"{number(row[name])}\n{number(row[f'{name}_low'])}–{number(row[f'{name}_high'])}"


def _cells(row: Mapping[str, Any], against: str | None) -> list[Text]:
    value = number(row.get("value"))
    if row.get("low") is not None and row.get("high") is not None:
        value += f"\n{number(row['low'])}–{number(row['high'])}"
    ended = "\n".join(
        f"{short} {row['stopped'][k]}"
        for k, short in SHORT_ENDINGS.items()
        if (row.get("stopped") or {}).get(k)
    )
    unparsed = "–" if row.get("unparsed") is None else str(row["unparsed"])
    if row.get("n") is not None:
        unparsed += f"\nof {row['n']}"
    passes = f"\n{number(row['passes'])} ×" if row.get("passes") is not None else ""
    cells = [value, *([against] if against is not None else []), unparsed, ended or "–"]
    return [
        Text(cell)
        for cell in [
            *cells,
            amount(row.get("train_tokens")) + passes,
            duration(row.get("seconds_per_answer")),
        ]
    ]


def _against(test: Mapping[str, Any]) -> str:
    p = test.get("p_mcnemar")
    p = test.get("p_bootstrap") if p is None else p
    sign = "*" if excludes_zero(test) else ""
    interval = f"{number(test.get('low'), sign=True)} to {number(test.get('high'), sign=True)}"
    said = p_value(p)
    said = said if said.startswith("<") else f"= {said}"
    return f"{number(test.get('difference'), sign=True)}{sign}\n{interval}\np {said}"


def coloured(segments: Iterable[Segment | tuple[Kind | None, str]]) -> Text:
    """A chain as one line of text, each segment after its tag, ES cyan and AS yellow; a whole chain
    (None) has no tag.

    >>> coloured([("ES", "Ann has 3 boxes, "), ("AS", "so 12 pens.")]).plain
    '[ES] Ann has 3 boxes, [AS] so 12 pens.'
    """
    text = Text()
    for segment in segments:
        kind, written = (segment.kind, segment.text) if isinstance(segment, Segment) else segment
        if text.plain and not text.plain[-1].isspace():
            text.append(" ")
        text.append_text(_one(kind, written))
    text.rstrip()
    return text


def segment_printer(
    console: Console, question: str | None = None
) -> Callable[[Kind | None, str], None]:
    """A function that prints each segment on a line of its own as soon as it is written; to be
    handed to `solve`.

    With `question`, a segment whose kind the student did not state is coloured by what it looks
    like, and tagged [ES?] or [AS?]."""

    def show(kind: Kind | None, text: str) -> None:
        judged = kind is None and question is not None and bool(text.strip())
        if judged and question is not None:
            kind = judged_kind(question, text)
        console.print(_one(kind, text.strip(), judged), soft_wrap=True)

    return show


def _one(kind: Kind | None, text: str, judged: bool = False) -> Text:
    line = Text()
    if kind is not None:
        line.append(f"[{kind}?]" if judged else f"[{kind}]", style=f"bold {STYLES[kind]}").append(
            " "
        )
    return line.append(visible(text), style=STYLES[kind])

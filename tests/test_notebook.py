"""The notebook runs from top to bottom, and what it shows is what it computes."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "quickstart.ipynb"


def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def code_of(cell):
    return "".join(cell["source"])


def printed(cell):
    return "".join(
        "".join(output["text"])
        for output in cell["outputs"]
        if output.get("name") == "stdout" and "text" in output
    )


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Names and printed text after all cells have run in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        names, lines = {}, {}
        for number, cell in enumerate(cells()):
            if cell["cell_type"] == "code":
                texts = lines[number] = []
                names["print"] = lambda *parts, texts=texts, sep=" ", end="\n": texts.append(
                    sep.join(map(str, parts)) + end
                )
                exec(compile(code_of(cell), f"cell {number}", "exec"), names)
        return names, lines


def test_every_cell_runs_and_the_segments_are_those_that_it_shows(session):
    names, lines = session
    number = next(n for n, cell in enumerate(cells()) if "ss.segment(" in code_of(cell))
    assert "".join(lines[number]) == printed(cells()[number])
    assert "".join(segment.text for segment in names["segments"][0])


def test_it_compares_the_arms_that_it_names(session):
    names, _ = session
    assert [arm.name for arm in names["results"].arms] == names["recipe"].arms
    assert names["results"].data.test == 15


def test_plain_transformers_writes_what_the_student_writes(session):
    _, lines = session
    own, plain = (
        next("".join(lines[n]) for n, cell in enumerate(cells()) if text in code_of(cell))
        for text in ("ss.load(folder)", "AutoModelForCausalLM")
    )
    chain = own.rpartition("answer:")[0].strip()
    assert chain
    assert plain.strip() == chain


def test_the_outputs_are_those_of_a_run_and_the_picture_is_among_them():
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    (picture,) = (cell for cell in code if code_of(cell) == "ss.figure(results)")
    assert "image/svg+xml" in picture["outputs"][0]["data"]
    assert not any(output["output_type"] == "error" for cell in code for output in cell["outputs"])

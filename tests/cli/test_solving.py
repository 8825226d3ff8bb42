"""`smallsteps solve`: answers of an interrupted job are used again for the same questions, and for
no others."""

import json
import shutil

import pytest

from run_fixtures import short_chains
from smallsteps import lock
from smallsteps.cli import solving
from smallsteps.cli.main import main
from smallsteps.cli.solving import names_file
from smallsteps.students.loading import load_student
from smallsteps.students.scratch import from_scratch
from smallsteps.students.settings import ScratchSettings
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

__all__ = ["short_chains"]


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A student that has learnt nothing."""
    settings = ScratchSettings(vocabulary=300, d_model=16, d_kv=8, heads=2, d_ff=16, layers=1)
    made = from_scratch(["Ann has 3 pens. The answer is 3."] * 4, settings)
    prepare(made, get_task("numbers"), path="direct")
    return made.save(tmp_path_factory.mktemp("student") / "student")


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def questions(path, name, count=6):
    """Rows without ids: those of two files have the same names, line-000001 and so on."""
    return write(
        path / name,
        [{"question": f"{name}: {n} pens and 2 more?", "answer": n + 2} for n in range(count)],
    )


class Killed(BaseException):
    pass


@pytest.fixture
def interrupted(monkeypatch):
    """`interrupted(arguments, after)`: the command, ended after so many answers as by a kill."""

    def run(arguments, after=3):
        import smallsteps.generation.solve as module

        whole = module.solve

        def some(*arguments, **named):
            for count, prediction in enumerate(whole(*arguments, **named)):
                if count == after:
                    raise Killed
                yield prediction

        with monkeypatch.context() as patch:
            patch.setattr(module, "solve", some)
            with pytest.raises(Killed):
                main(arguments)

    return run


def solve(student, source, out, *further):
    return [
        "solve",
        str(student),
        str(source),
        "--out",
        str(out),
        "--batch-size",
        "2",
        *map(str, further),
    ]


def test_an_interrupted_job_goes_on_and_ends_as_an_undisturbed_one(
    student, tmp_path, interrupted, capsys
):
    source = questions(tmp_path, "a.jsonl")
    assert main(solve(student, source, tmp_path / "whole.jsonl")) == 0
    interrupted(solve(student, source, tmp_path / "out.jsonl"))
    kept = tmp_path / ".out.jsonl.partial"
    with kept.open("a") as file:
        file.write('{"question": "torn')
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 0
    assert "continuing: 3 of 6 questions are answered" in capsys.readouterr().err
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not kept.exists()


def test_answers_of_other_questions_with_the_same_ids_are_not_used(
    student, tmp_path, interrupted, capsys
):
    a, b = questions(tmp_path, "a.jsonl"), questions(tmp_path, "b.jsonl")
    assert main(solve(student, b, tmp_path / "whole.jsonl")) == 0
    interrupted(solve(student, a, tmp_path / "out.jsonl"))
    assert main(solve(student, b, tmp_path / "out.jsonl")) == 0
    assert "continuing:" not in capsys.readouterr().err
    assert read(tmp_path / "out.jsonl") == read(tmp_path / "whole.jsonl")


def test_one_question_that_changed_is_answered_anew_and_the_others_are_not(
    student, tmp_path, interrupted, capsys
):
    source = questions(tmp_path, "a.jsonl")
    interrupted(solve(student, source, tmp_path / "out.jsonl"), after=5)
    left = [row["answer"]["id"] for row in read(tmp_path / ".out.jsonl.partial")[1:]]
    rows = read(source)
    rows[int(left[0][-6:]) - 1]["question"] = "Something else?"
    write(source, rows)
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 0
    assert "continuing: 4 of 6 questions are answered" in capsys.readouterr().err


SETTINGS = ["--temperature 1", "--dtype bfloat16", "--task gsm8k", "--seed 1 --temperature 1"]


@pytest.mark.parametrize("change", SETTINGS)
def test_answers_of_other_settings_are_not_used_and_it_is_said(
    change, student, tmp_path, interrupted, capsys
):
    source = questions(tmp_path, "a.jsonl")
    interrupted(solve(student, source, tmp_path / "out.jsonl"))
    assert main(solve(student, source, tmp_path / "out.jsonl", *change.split())) == 0
    error = capsys.readouterr().err
    assert "continuing:" not in error and "of another job and are not used" in error


def test_answers_of_other_weights_in_the_same_folder_are_not_used(
    student, tmp_path, interrupted, capsys
):
    from smallsteps.students.loading import load_student

    source = questions(tmp_path, "a.jsonl")
    model = load_student(student, device="cpu")
    model.save(tmp_path / "model")
    interrupted(solve(tmp_path / "model", source, tmp_path / "out.jsonl"))
    next(model.model.parameters()).data.mul_(1.5)
    model.save(tmp_path / "model")
    assert main(solve(tmp_path / "model", source, tmp_path / "out.jsonl")) == 0
    assert "continuing:" not in capsys.readouterr().err


JUNK = [
    "",
    "\n",
    "{}",
    "[]",
    "null",
    "7",
    '"text"',
    "\0\0",
    "[" * 100_000,
    '{"job": {}}',
    '{"question": "x", "answer": 7}',
    '{"question": "x", "answer": {"id": "line-000001", "text": "x", "segments": [], "answer": 7, "stopped": "end", "tokens": 1}}',
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_in_the_file_of_kept_answers_is_ignored(junk, student, tmp_path, interrupted, capsys):
    source = questions(tmp_path, "a.jsonl", 2)
    kept = tmp_path / ".out.jsonl.partial"
    kept.write_text(junk + "\n")
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 0
    whole = read(tmp_path / "out.jsonl")
    interrupted(solve(student, source, tmp_path / "out.jsonl"), after=1)
    lines = kept.read_text().splitlines()
    digest = json.loads(lines[1])["question"]
    kept.write_text("\n".join([lines[0], junk.replace('"x"', json.dumps(digest), 1)]) + "\n")
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 0
    assert read(tmp_path / "out.jsonl") == whole
    assert "continuing:" not in capsys.readouterr().err


def test_a_second_process_on_the_same_output_is_refused_before_any_work(
    student, tmp_path, monkeypatch, capsys
):
    source = questions(tmp_path, "a.jsonl")
    with lock.exclusive(tmp_path / ".out.jsonl.lock", "?"), monkeypatch.context() as patch:
        patch.setattr("smallsteps.generation.solve.load", lambda *_, **__: pytest.fail("loaded"))
        assert main(solve(student, source, tmp_path / "out.jsonl")) == 2
    error = capsys.readouterr().err.splitlines()
    assert [line for line in error if "another process is writing it" in line] == error[-1:]
    assert not (tmp_path / "out.jsonl").exists()
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 0


def test_an_error_leaves_no_empty_file_of_kept_answers(student, tmp_path, monkeypatch):
    monkeypatch.setattr(solving, "write_rows", lambda *_: 1 / 0)
    source = write(tmp_path / "a.jsonl", [])
    source.write_text('{"question": "?"}\n')
    monkeypatch.setattr("smallsteps.generation.solve.solve", lambda *_, **__: 1 / 0)
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_model_that_is_missing_leaves_kept_answers_and_no_new_folder(
    student, tmp_path, interrupted, capsys
):
    source = questions(tmp_path, "a.jsonl")
    interrupted(solve(student, source, tmp_path / "out.jsonl"))
    before = (tmp_path / ".out.jsonl.partial").read_bytes()
    assert main(solve("./nowhere", source, tmp_path / "out.jsonl", "--task", "numbers")) == 2
    assert (
        main(solve("./nowhere", source, tmp_path / "new" / "out.jsonl", "--task", "numbers")) == 2
    )
    assert (tmp_path / ".out.jsonl.partial").read_bytes() == before and not (
        tmp_path / "new"
    ).exists()
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 0
    assert "continuing: 3 of 6 questions are answered" in capsys.readouterr().err


def test_bad_rows_are_named_before_the_weights_are_loaded(student, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("smallsteps.generation.solve.load", lambda *_, **__: pytest.fail("loaded"))
    source = write(tmp_path / "a.jsonl", [{"question": 7}])
    assert main(solve(student, source, tmp_path / "out.jsonl")) == 2
    assert "a.jsonl:1" in capsys.readouterr().err


# ---- file or question ----


def test_what_exists_or_looks_like_a_data_file_is_one_and_a_space_makes_it_a_question(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Why").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    files = [
        "Why",
        "link",
        ".",
        "/dev/null",
        "/tmp",
        "questions.tsv",
        "my questions.CSV",
        "a.jsonl.gz",
    ]
    files += ["runs/x/y", "hub:a/b:test"]
    assert [name for name in files if not names_file(name)] == []
    texts = [
        " Why",
        "why",
        "",
        "  ",
        "What is 3/4 of 8?",
        "3/4+1/2=?",
        "半分/全部は",
        "1.5",
        " q.tsv",
        "Read\nq.tsv",
    ]
    texts += ["x" * 256, "x/" * 3000, "a\0b"]
    assert [text for text in texts if names_file(text)] == []


@pytest.mark.parametrize("length", [255, 256, 5000])
def test_a_question_longer_than_a_file_name_is_answered(length, student, capsys):
    question = ("pens and " * length)[:length].strip()
    assert main(["solve", str(student), f"How many {question}?"]) == 0
    assert "stopped by" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["questions.tsv", "my questions.jsonl", "/dev/null", "runs/x", "folder"]
)
def test_a_missing_file_is_no_question_and_the_message_says_how_to_ask_it(
    name, student, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for further in ([], ["--out", "out.jsonl"]):
        assert main(["solve", str(student), name, *further]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {name}: ") and "put a space before it" in error, error
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert main(["solve", str(student), f" {name}"]) == 0


def test_an_output_is_for_a_file_of_questions(student, tmp_path, capsys):
    assert main(["solve", str(student), "How many pens?", "--out", str(tmp_path / "x")]) == 2
    assert "'How many pens?' is no file" in capsys.readouterr().err


def test_solve_writes_rows_in_order_and_grade_reads_them(chains, uni_student, tmp_path, capsys):
    out = tmp_path / "answers.jsonl"
    assert (
        main(["solve", str(uni_student), str(chains), "--out", str(out), "--batch-size", "8"]) == 0
    )
    rows = read(out)
    assert [row["id"] for row in rows] == [row["id"] for row in read(chains)]
    for row in rows:
        assert set(row) >= {"id", "text", "segments", "answer", "stopped"}
        assert row["stopped"] in ("stop_sign", "end", "limit", "empty")
    capsys.readouterr()
    assert main(["grade", str(out), str(chains), "--task", "numbers"]) == 0
    assert "acc = " in capsys.readouterr().out
    assert main(["grade", str(out), str(chains), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert (
        score["n"] == 30
        and score["metric"] == "accuracy"
        and 0 <= score["low"] <= score["value"] <= score["high"] <= 100
    )


def test_a_figure_on_questions_that_were_trained_on_comes_with_a_warning(
    chains, uni_student, tmp_path, capsys
):
    run = tmp_path / "mine"
    student = run / "arms/ases-seed0/training/candidate-1"
    shutil.copytree(uni_student, student)
    (run / "run.json").write_text("{}")
    (run / "data").mkdir()
    trained = [json.dumps({"problem": row}) + "\n" for row in read(chains)[:12]]
    (run / "data/train.jsonl").write_text("".join(trained))
    (run / "data/validation.jsonl").write_text("")
    assert main(["solve", str(student), str(chains), "--out", str(tmp_path / "a.jsonl")]) == 0
    *_, warning, score = capsys.readouterr().out.splitlines()
    assert warning.startswith("warning: not all of these 30 questions are new to the student: ")
    assert f"its run {run} trained on 12 of them." in warning and score.startswith("acc = ")


def test_solve_shows_a_question_segment_by_segment(uni_student, capsys):
    assert main(["solve", str(uni_student), "Ann has 3 pens. How many?"]) == 0
    assert "stopped by" in capsys.readouterr().out


def test_a_model_that_follows_instructions_is_told_to_think_and_a_trained_one_is_not(
    tiny_chat, tmp_path, monkeypatch
):
    import smallsteps.generation.solve as module

    told = []

    def spy(student, problems, task, *further, **named):
        told.append(task.render(problems[0]))
        return iter(())

    monkeypatch.setattr(module, "solve", spy)
    folder = tiny_chat(tmp_path / "chat")
    asked = ["solve", str(folder), "How many pens?", "--task", "gsm8k"]
    assert main(asked) == 0
    trained = prepare(load_student(folder), get_task("gsm8k"), path="direct")
    assert main(["solve", str(trained.save(tmp_path / "trained")), "How many pens?"]) == 0
    assert told == [
        "How many pens?\n\nThink step by step, and end with this sentence: The answer is ….",
        "How many pens?",
    ]


def test_how_many_chains_ended_early_is_said(tiny_chat, tmp_path, monkeypatch, capsys):
    from smallsteps.generation import causal

    def circling(logits, rows, decoding):
        """Replies to the first question repeat three tokens, the others never repeat anything."""
        ids = [len(row.written) % 3 if "q0" in row.request.id else len(row.written) for row in rows]
        return [100 + i % 200 for i in ids], None

    monkeypatch.setattr(causal, "choose_tokens", circling)
    source = write(
        tmp_path / "questions.jsonl",
        [{"id": f"q{n}", "question": "How many pens?", "answer": 2} for n in range(3)],
    )
    out = tmp_path / "answers.jsonl"
    folder = tiny_chat(tmp_path / "chat")
    assert main(solve(folder, source, out, "--task", "numbers")) == 0
    assert [row["stopped"] for row in read(out)] == ["repetition", "limit", "limit"]
    printed = " ".join(capsys.readouterr().out.split())
    told = "ended early: 1 that repeated themselves, 2 at the limit of tokens or segments"
    assert told in printed


def test_a_model_folder_without_tokenizer_says_what_to_save(uni_student, tmp_path, capsys):
    folder = shutil.copytree(uni_student, tmp_path / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert main(["solve", str(folder), "How many?"]) == 2
    assert "tokenizer" in capsys.readouterr().err

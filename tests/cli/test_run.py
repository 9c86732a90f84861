"""``promptkit run``: ask the configured model, show the answer as it comes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from promptkit import Prompt, errors
from promptkit.cli.app import app
from tests.cli.test_exit_codes import CONFIG, command, environment, project

LONG_ANSWER = "line\n" * 40_000
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return project(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", *arguments])


def answers(folder: Path, *replies: str) -> None:
    """Make these the only model's replies."""
    (folder / "promptkit.toml").write_text(
        f'model = "it"\n[models.it]\nprovider = "scripted"\nreplies = {json.dumps(replies, ensure_ascii=False)}\n',
        "utf-8",
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("Hello, dear Ann.", id="a sentence"),
        pytest.param("two\n\nparagraphs", id="line breaks"),
        pytest.param("Zoë 🐈 漢字", id="any letters"),
        pytest.param("[bold]no markup[/bold] :smile: \\[x]", id="square brackets"),
        pytest.param("word " * 100 + "end", id="a long line"),
    ],
)
def test_prints_the_answer_as_it_is_and_a_line_break(folder: Path, answer: str) -> None:
    answers(folder, answer)
    result = run("greet", "--var", "name=Ann")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{answer}\n", "")


def test_json_is_one_line_with_the_whole_result(folder: Path) -> None:
    result = run("greet", "--var", "name=Ann", "--json")
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout) == {
        "output": "Hello, dear Ann.",
        "text": "Hello, dear Ann.",
        "ending": "complete",
        "model": "scripted",
        "usage": {"input_tokens": 2, "output_tokens": 3, "cached_tokens": 0},
        "prompt": Prompt.load("greet").fingerprint,
    }


@pytest.mark.parametrize(
    ("output", "answer", "value"),
    [
        pytest.param("{colour: str}", '{"colour": "Grün"}', {"colour": "Grün"}, id="an object"),
        pytest.param("Literal[red, green]", '{"value": "red"}', "red", id="one of some words"),
        pytest.param("int", '{"value": 3}', 3, id="a number"),
        pytest.param("bool", '{"value": false}', False, id="no"),
        pytest.param("list[str]", '{"value": ["a", "b"]}', ["a", "b"], id="a list"),
        pytest.param("str | None", '{"value": null}', None, id="nothing"),
    ],
)
def test_a_typed_output_is_printed_as_json(folder: Path, output: str, answer: str, value: Any) -> None:
    (folder / "templates" / "typed.jinja").write_text(f"---\noutput: {output}\n---\nAsk", "utf-8")
    answers(folder, answer, answer)
    shown, whole = run("typed"), run("typed", "--json")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert json.loads(shown.stdout) == value
    assert "\\u" not in shown.stdout
    document = json.loads(whole.stdout)
    assert (document["output"], document["text"]) == (value, answer)


MODELS = """
model = "first"
models.first = { provider = "scripted", replies = ["first"] }
models.second = { provider = "scripted", replies = ["second"] }
models.third = { provider = "scripted", replies = ["third"] }
"""


@pytest.mark.parametrize(
    ("arguments", "variable", "answer"),
    [
        pytest.param([], None, "first", id="the configuration's"),
        pytest.param([], "second", "second", id="PROMPTKIT_MODEL before the configuration's"),
        pytest.param(["--model", "third"], None, "third", id="--model before the configuration's"),
        pytest.param(["--model", "third"], "second", "third", id="--model before PROMPTKIT_MODEL"),
        pytest.param(["--model", "third"], "gone", "third", id="--model even if PROMPTKIT_MODEL is wrong"),
        pytest.param(["--config", "other.toml"], None, "other", id="--config before the nearest file"),
        pytest.param(["--config", "pyproject.toml"], None, "project", id="--config may be a pyproject.toml"),
        pytest.param(["--config", "other.toml", "--model", "spare"], None, "spare", id="--model of --config"),
    ],
)
def test_which_model_answers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], variable: str | None, answer: str
) -> None:
    (folder / "promptkit.toml").write_text(MODELS, "utf-8")
    (folder / "other.toml").write_text(
        'model = "a"\nmodels.a = { provider = "scripted", replies = ["other"] }\n'
        'models.spare = { provider = "scripted", replies = ["spare"] }\n',
        "utf-8",
    )
    (folder / "pyproject.toml").write_text(
        '[tool.promptkit]\nmodel = "a"\nmodels.a = { provider = "scripted", replies = ["project"] }\n', "utf-8"
    )
    if variable:
        monkeypatch.setenv("PROMPTKIT_MODEL", variable)
    result = run("greet", "--var", "name=Ann", *arguments)
    assert (result.stdout, result.stderr) == (f"{answer}\n", "")


def test_a_config_is_found_in_a_folder_above(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = folder / "some" / "where"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    result = run(str(folder / "templates" / "greet.jinja"), "--var", "name=Ann")
    assert result.stdout == "Hello, dear Ann.\n"


@pytest.mark.parametrize(
    ("variable", "arguments", "said"),
    [
        pytest.param("gone", [], "PROMPTKIT_MODEL names no model: 'gone'", id="of PROMPTKIT_MODEL"),
        pytest.param("fak", [], "did you mean 'fake'?", id="of PROMPTKIT_MODEL, with the nearest"),
        pytest.param(None, ["--model", "gone"], "no model 'gone'", id="of --model"),
        pytest.param(None, ["--model", "fak"], "did you mean 'fake'?", id="of --model, with the nearest"),
        pytest.param("fak", ["--model", "gone"], "no model 'gone'", id="of --model, whatever PROMPTKIT_MODEL says"),
        pytest.param(None, ["--model", ""], "no model ''", id="of --model, empty"),
    ],
)
def test_an_unknown_model_names_who_asked_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, arguments: list[str], said: str
) -> None:
    if variable:
        monkeypatch.setenv("PROMPTKIT_MODEL", variable)
    result = run("greet", "--var", "name=Ann", *arguments)
    assert isinstance(result.exception, errors.ConfigError)
    assert said in str(result.exception)
    assert result.stdout == ""


FAILURES = [
    pytest.param("greet --var nam=Ann", 4, "InputError", "", id="a wrong input"),
    pytest.param("gret --var name=Ann", 3, "TemplateNotFound", "", id="no such template"),
    pytest.param("greet --var name=Ann --model gone", 3, "ConfigError", "", id="no such entry"),
    pytest.param("greet --var name=Ann --model unloadable", 3, "ModelNotFound", "", id="no such local model"),
    pytest.param("greet --var name=Ann --model down", 5, "ConnectionFailed", "", id="no server"),
    pytest.param("greet --var name=Ann --model overloaded", 5, "ServerFailed", "", id="a server that fails"),
    pytest.param("colour --var thing=grass", 6, "NotParsed", "Hello, dear Ann.", id="an answer of the wrong type"),
]


@pytest.mark.parametrize(("arguments", "code", "error", "text"), FAILURES)
def test_json_of_a_failure_is_one_document_too(folder: Path, arguments: str, code: int, error: str, text: str) -> None:
    ran = command("run", *arguments.split(), "--json", cwd=folder)
    assert ran.code == code
    assert ran.err.startswith(f"{error}: ")
    document = json.loads(ran.out)
    assert (document["error"], document["text"]) == (error, text)
    assert document["message"] in ran.err


def test_an_answer_of_the_wrong_type_costs_what_it_costs(folder: Path) -> None:
    ran = command("run", "colour", "--var", "thing=grass", "--json", cwd=folder)
    assert json.loads(ran.out)["usage"]["output_tokens"] == 3


def test_the_embedded_model_answers_the_same_each_time_at_temperature_0(folder: Path, model_file: Path) -> None:
    arguments = "run greet --var name=Ann --model small --temperature 0 --max-tokens 8 --json".split()
    first, second = (json.loads(command(*arguments, cwd=folder).out) for _ in range(2))
    assert first == second
    assert first["text"].strip()
    assert 1 <= first["usage"]["output_tokens"] <= 8


def test_an_answer_cut_off_is_shown_and_exits_6(folder: Path, model_file: Path) -> None:
    arguments = "run greet --var name=Ann --model small --temperature 0 --max-tokens 3".split()
    shown, whole = command(*arguments, cwd=folder), command(*arguments, "--json", cwd=folder)
    document = json.loads(whole.out)
    assert (shown.code, whole.code) == (6, 6)
    assert shown.out.strip()
    assert shown.out == f"{document['text']}\n"
    assert document["error"] == "Truncated"
    assert document["usage"]["output_tokens"] == 3
    assert "max_tokens" in shown.err


@pytest.fixture
def slow(folder: Path, model_file: Path) -> Path:
    """A folder whose `count` has the embedded model write for many seconds."""
    (folder / "templates" / "count.jinja").write_text(
        "{% user %}\nCount from one to five hundred in words: one, two, three, four,\n{% enduser %}\n", "utf-8"
    )
    config = CONFIG.replace("context = 512\n", "context = 8192\nparameters = { temperature = 0, max_tokens = 4000 }\n")
    (folder / "promptkit.toml").write_text(config, "utf-8")
    return folder


def begin(*arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    """The real command, under way."""
    return subprocess.Popen(
        [sys.executable, "-m", "promptkit", *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def counting(slow: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`promptkit run count` on the embedded model; ended at the end."""
    process = begin("run", "count", "--model", "small", cwd=slow)
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()


@POSIX
def test_ctrl_c_keeps_what_was_printed_and_exits_130(counting: subprocess.Popen[bytes]) -> None:
    assert counting.stdout is not None
    first = os.read(counting.stdout.fileno(), 1)
    begun = time.monotonic()
    counting.send_signal(signal.SIGINT)
    out, err = counting.communicate(timeout=30)
    assert counting.returncode == 130
    assert time.monotonic() - begun < 5
    text = (first + out).decode()
    assert text.strip()
    assert text.endswith("\n")
    assert b"Traceback" not in err
    assert err.decode().startswith(f"Interrupted: the {len(text) - 1} characters shown are all there is")


@POSIX
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["as text", "as JSON"])
def test_ctrl_c_before_anything_was_printed_prints_nothing(folder: Path, more: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        config = f'model = "silent"\n[models.silent]\nprovider = "openai"\nmodel = "any"\nbase_url = "{url}"\n'
        (folder / "promptkit.toml").write_text(config, "utf-8")
        process = begin("run", "greet", "--var", "name=Ann", *more, cwd=folder)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert b"Interrupted" in err


@POSIX
def test_ctrl_c_while_an_input_is_typed_exits_130(folder: Path) -> None:
    (folder / "templates" / "two.jinja").write_text("{{ first }} {{ second }}", "utf-8")
    os.mkfifo(folder / "first")
    process = begin("run", "two", "--var-file", "first=first", "--var-file", "second=-", cwd=folder)
    # Who writes to a named pipe waits for its reader; next the command waits for standard input.
    (folder / "first").write_text("Hello", "utf-8")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


@POSIX
def test_when_the_reader_of_a_pipe_goes_the_model_is_stopped(counting: subprocess.Popen[bytes]) -> None:
    assert counting.stdout is not None
    assert counting.stderr is not None
    assert os.read(counting.stdout.fileno(), 1)
    begun = time.monotonic()
    counting.stdout.close()
    assert counting.wait(timeout=30) == 0
    assert time.monotonic() - begun < 5
    assert counting.stderr.read() == b""


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("render long", id="render"),
        pytest.param("render long --json", id="render --json"),
        pytest.param("run greet --var name=Ann", id="run"),
        pytest.param("run greet --var name=Ann --json", id="run --json"),
    ],
)
def test_a_closed_pipe_is_no_failure(folder: Path, arguments: str) -> None:
    (folder / "templates" / "long.jinja").write_text("{% for n in range(40000) %}line\n{% endfor %}", "utf-8")
    answers(folder, LONG_ANSWER)
    with begin(*arguments.split(), cwd=folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_that_cannot_show_a_letter_does_not_stop_it(folder: Path, encoding: str) -> None:
    answers(folder, "Hello 🐈 漢字")
    ran = command("run", "greet", "--var", "name=Ann", cwd=folder, PYTHONIOENCODING=encoding)
    assert ran.code == 0
    assert ran.out.startswith("Hello ")

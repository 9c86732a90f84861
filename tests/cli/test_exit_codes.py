"""What the command leaves behind: its exit code, and which of its words go where.

Here are also the helpers of the other tests of the command: `project` and `command`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptkit import __version__, errors
from promptkit.cli.app import exit_code

CONFIG = """\
model = "fake"

[models.fake]
provider = "scripted"
replies = ["Hello, dear Ann."]

[models.colour]
provider = "scripted"
replies = ['{"colour": "green"}']

[models.overloaded]
provider = "scripted"
attempts = 1
replies = [{ status = 503, message = "try later" }]

[models.down]
provider = "openai"
model = "any"
base_url = "http://127.0.0.1:9/v1"
attempts = 1

[models.unloadable]
provider = "local"
model = "no-such-model"

[models.damaged]
provider = "local"
model = "damaged.gguf"

[models.misspelt]
provider = "scriptd"

[models.small]
provider = "local"
model = "smollm2-135m-instruct"
context = 512
threads = 1
"""

TEMPLATES = {
    "greet": "---\ninput:\n  name: str\n---\n{% user %}\nGreet {{ name }}.\n{% enduser %}\n",
    "colour": (
        "---\ninput:\n  thing: str\noutput:\n  colour: Literal[red, green]\n---\n"
        "{% user %}\nWhat colour is {{ thing }}?\n{% enduser %}\n"
    ),
    "broken": "{% user %}\nHello {{ name }\n{% enduser %}\n",
    "divides": "{% user %}{{ 1 / (0 * (number | int)) }}{% enduser %}\n",
}


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


def project(folder: Path) -> Path:
    """A folder with a configuration and a few templates."""
    (folder / "promptkit.toml").write_text(CONFIG, "utf-8")
    (folder / "damaged.gguf").write_bytes(b"GGUF" + bytes(1000))
    (folder / "templates").mkdir()
    for name, text in TEMPLATES.items():
        (folder / "templates" / f"{name}.jinja").write_text(text, "utf-8")
    return folder


def environment(**settings: str) -> dict[str, str]:
    """This process's environment and some settings; output is buffered as it is for everybody."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}, **settings}


def command(*arguments: str, cwd: Path, stdin: bytes | str = b"", **settings: str) -> Ran:
    """Run the real command to its end; whatever happens, nobody is to see a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "promptkit", *arguments],
        cwd=cwd,
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        env=environment(**{"COLUMNS": "100", **settings}),
        timeout=60,
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    assert "Traceback" not in ran.err, ran.err
    assert "Exception ignored" not in ran.err, ran.err
    return ran


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("--version", id="version"),
        pytest.param("--help", id="help"),
        pytest.param("run --help", id="help of a command"),
        pytest.param("render greet --var name=Ann", id="render"),
        pytest.param("run greet --var name=Ann", id="run"),
        pytest.param("run greet --var name=Ann --json", id="run as JSON"),
        pytest.param("run colour --var thing=grass --model colour", id="run for a typed output"),
        pytest.param("new reply", id="new"),
        pytest.param("models", id="models"),
        pytest.param("models --json", id="models as JSON"),
        pytest.param("providers", id="providers"),
    ],
)
def test_what_works_exits_0_with_words_on_stdout_only(folder: Path, arguments: str) -> None:
    ran = command(*arguments.split(), cwd=folder)
    assert ran.code == 0
    assert ran.out.strip()
    assert ran.err == ""


USAGE = [
    pytest.param("", "", id="no command at all"),
    pytest.param("rnder greet", "rnder", id="an unknown command"),
    pytest.param("run", "prompt", id="no prompt"),
    pytest.param("run greet --vra name=Ann", "--vra", id="an unknown option"),
    pytest.param("run greet --var", "--var", id="an option without its value"),
    pytest.param("run greet --max-tokens few", "--max-tokens", id="a text where a number is wanted"),
    pytest.param("run greet --var name=Ann --max-tokens 0", "max", id="no tokens at all"),
    pytest.param("run greet --var name=Ann --temperature -1", "temperature", id="a temperature below 0"),
    pytest.param("run greet --var name=Ann --temperature nan", "temperature", id="a temperature that is no number"),
    pytest.param("run greet --var name=Ann --seed -1", "seed", id="a seed below 0"),
    pytest.param("new", "name", id="a new prompt without a name"),
    pytest.param("models fetch", "name", id="fetch without a name"),
]


@pytest.mark.parametrize(("arguments", "named"), USAGE)
def test_wrong_usage_exits_2(folder: Path, arguments: str, named: str) -> None:
    ran = command(*arguments.split(), cwd=folder)
    assert ran.code == 2
    assert named in ran.out + ran.err


FAILURES = [
    pytest.param("render gret", 3, "did you mean 'greet'?", id="3 a template that is not there"),
    pytest.param("render gone.jinja", 3, "gone.jinja", id="3 a template file that is not there"),
    pytest.param("render templates", 3, "templates", id="3 a folder where a template is wanted"),
    pytest.param("render broken --var name=Ann", 3, "broken.jinja:2", id="3 a template with a syntax error"),
    pytest.param("render divides --var number=1", 3, "divides.jinja:1", id="3 a template that fails while rendering"),
    pytest.param("run greet --var name=Ann --config gone.toml", 3, "gone.toml", id="3 a config that is not there"),
    pytest.param("run greet --var name=Ann --config templates", 3, "templates", id="3 a folder as config"),
    pytest.param("run greet --var name=Ann --model fke", 3, "did you mean 'fake'?", id="3 an unknown model entry"),
    pytest.param("run greet --var name=Ann --model misspelt", 3, "promptkit.toml:31:1", id="3 an unknown provider"),
    pytest.param("run greet --var name=Ann --model unloadable", 3, "no-such-model", id="3 an unknown local model"),
    pytest.param("run greet --var name=Ann --model damaged", 3, "damaged.gguf", id="3 a damaged model file"),
    pytest.param("models fetch smolm2-135m-instruct", 3, "did you mean", id="3 fetching an unknown model"),
    pytest.param("new greet", 3, "greet.jinja", id="3 a new prompt over an old one"),
    pytest.param("new ../greet", 3, "../greet", id="3 a new prompt outside the folder"),
    pytest.param("providers --config gone.toml", 3, "gone.toml", id="3 providers of a config that is not there"),
    pytest.param("render greet", 4, "missing input 'name'", id="4 a missing input"),
    pytest.param("render greet --var nam=Ann", 4, "did you mean 'name'?", id="4 an unknown input"),
    pytest.param("run greet --var nam=Ann", 4, "did you mean 'name'?", id="4 an unknown input of a run"),
    pytest.param("run greet --var name=Ann --model down", 5, "127.0.0.1:9", id="5 no server there"),
    pytest.param("run greet --var name=Ann --model overloaded", 5, "try later", id="5 a server that fails"),
    pytest.param("run colour --var thing=grass", 6, "JSON", id="6 an answer that is not of the output type"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), FAILURES)
def test_a_failure_has_its_code_and_speaks_on_stderr_only(folder: Path, arguments: str, code: int, said: str) -> None:
    ran = command(*arguments.split(), cwd=folder)
    assert ran.code == code
    assert said in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PromptkitError("x"), 1),
        (errors.DefinitionError("x"), 3),
        (errors.TemplateError("x"), 3),
        (errors.TemplateNotFound("x"), 3),
        (errors.ConfigError("x"), 3),
        (errors.ModelNotFound("x"), 3),
        (errors.MissingExtra("x"), 3),
        (errors.InputError("x"), 4),
        (errors.ProviderError("x"), 5),
        (errors.ConnectionFailed("x"), 5),
        (errors.TimedOut("x"), 5),
        (errors.StreamTruncated("x"), 5),
        (errors.AuthenticationFailed("x"), 5),
        (errors.RateLimited("x"), 5),
        (errors.RequestRejected("x"), 5),
        (errors.ServerFailed("x"), 5),
        (errors.OutputError("x"), 6),
        (errors.Truncated("x"), 6),
        (errors.Filtered("x"), 6),
        (errors.Refused("x"), 6),
        (errors.NotParsed("x"), 6),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else f"exits {value}",
)
def test_every_error_has_an_exit_code(error: errors.PromptkitError, code: int) -> None:
    assert exit_code(error) == code


def test_every_error_of_the_tree_stands_in_the_table_above() -> None:
    def below(kind: type[Exception]) -> set[str]:
        return {kind.__name__}.union(*(below(child) for child in kind.__subclasses__()))

    marks: list[pytest.Mark] = test_every_error_has_an_exit_code.pytestmark  # type: ignore[attr-defined]
    listed = {type(error).__name__ for error, _ in marks[0].args[1]}
    assert listed == {name for name in below(errors.PromptkitError) if name in errors.__all__}


def test_the_version_is_the_packages(folder: Path) -> None:
    assert command("--version", cwd=folder).out == f"promptkit {__version__}\n"


@pytest.mark.parametrize(
    ("module", "arguments", "hint"),
    [
        pytest.param("typer", "--version", "promptkit[cli]", id="of the command"),
        pytest.param("rich", "--version", "promptkit[cli]", id="of the command's colours"),
        pytest.param("xllamacpp", "run greet --var name=Ann --model small", "promptkit[local]", id="of local models"),
    ],
)
def test_a_missing_extra_exits_3_and_says_how_to_install_it(
    folder: Path, module: str, arguments: str, hint: str
) -> None:
    away = folder / "away"
    away.mkdir()
    (away / f"{module}.py").write_text("raise ImportError\n", "utf-8")
    ran = command(*arguments.split(), cwd=folder, PYTHONPATH=str(away))
    assert ran.code == 3
    assert f"pip install '{hint}'" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("width", ["20", "80", "250"], ids=lambda width: f"{width} columns")
def test_a_message_is_not_broken_to_the_width_of_the_terminal(folder: Path, width: str) -> None:
    ran = command("render", "greet", "--var", "name=Ann", "--var", "[red]colour[/red]=x", cwd=folder, COLUMNS=width)
    assert ran.err.splitlines() == ["InputError: unknown input '[red]colour[/red]'", "  hint: the inputs are name"]


def test_a_message_to_a_file_holds_no_colour_codes(folder: Path) -> None:
    assert "\x1b" not in command("render", "gret", cwd=folder).err


@pytest.mark.parametrize("width", ["60", "80", "250"], ids=lambda width: f"{width} columns")
def test_help_names_every_option_whole(folder: Path, width: str) -> None:
    out = command("run", "--help", cwd=folder, COLUMNS=width).out
    options = "--var --var-file --model --config --max-tokens --temperature --seed --json --help"
    assert set(options.split()) <= set(out.split())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments", ["render greet --var name=Ann", "run greet --var name=Ann"], ids=["render", "run"]
)
def test_a_full_disk_is_an_error_in_words(folder: Path, arguments: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "promptkit", *arguments.split()],
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert 0 < done.returncode < 120
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
@pytest.mark.parametrize(
    "arguments",
    [
        "--version",
        "render greet --var name=Ann",
        "run greet --var name=Ann",
        "run greet --var name=Ann --json",
        "models",
        "models --json",
        "providers",
    ],
)
def test_a_pipe_nobody_reads_is_no_failure(folder: Path, arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "promptkit", *arguments.split()],
        cwd=folder,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")

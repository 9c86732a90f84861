"""A configuration that is right is read; one that is wrong says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptkit.config import Config, provider_names
from promptkit.errors import ConfigError
from promptkit.providers.local import Local
from promptkit.providers.openai import OpenAI
from promptkit.providers.scripted import Scripted
from promptkit.requests import Parameters
from promptkit.secrets import Secret
from promptkit.transport.base import Timeout

KEY = "sk-plain-7Qz4vN8w"

WHOLE = f"""\
# which model
model = "cloud"

[models.cloud]
provider = "openai"
model = "gpt-5-mini"
dialect = "groq"
api_key = "{KEY}"
attempts = 5
parameters = {{ temperature = 0.2, max_tokens = 400, stop = ["END"] }}
timeout = {{ connect = 1, read = 2.5, total = 10 }}

[models.server]
provider = "openai"
model = "m"
dialect = "compatible"
base_url = "${{env:SERVER_URL}}"
api_key = "${{env:SERVER_KEY}}"

[models.small]
provider = "local"
model = "smollm2-135m-instruct"
context = 512
prompt_cache = false
"""


def write(folder: Path, text: str, name: str = "promptkit.toml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def use(file: Path) -> object:
    """What a client does with a configuration."""
    return Config.load(file).entry().provider()


# What is right


def test_a_whole_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load(write(tmp_path, WHOLE))
    entry = config.entry()

    assert config.model == "cloud"
    assert list(config.models) == ["embedded", "cloud", "server", "small"]
    assert config.file == str(tmp_path / "promptkit.toml")
    assert (entry.name, entry.kind, entry.attempts) == ("cloud", "openai", 5)
    assert entry.parameters == Parameters(temperature=0.2, max_tokens=400, stop=("END",))
    assert entry.timeout == Timeout(connect=1, read=2.5, total=10)
    assert entry.provider() == OpenAI(model="gpt-5-mini", dialect="groq", api_key=Secret(KEY))
    assert config.entry("small").provider() == Local(model="smollm2-135m-instruct", context=512, prompt_cache=False)

    monkeypatch.setenv("SERVER_URL", "http://h:1/v1")
    monkeypatch.setenv("SERVER_KEY", "sk-2")
    server = config.entry("server").provider()
    assert server == OpenAI(model="m", dialect="compatible", base_url="http://h:1/v1", api_key=Secret("sk-2"))


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    entry = Config.load(write(tmp_path, '[models.a]\nprovider = "scripted"\nreplies = ["x"]')).entry("a")

    assert (entry.parameters, entry.timeout, entry.attempts) == (Parameters(), Timeout(), 3)
    assert isinstance(entry.provider(), Scripted)


def test_without_a_file_there_is_the_embedded_model(tmp_path: Path) -> None:
    config = Config.find(tmp_path)

    assert (config.model, list(config.models), config.file) == ("embedded", ["embedded"], "")
    assert config.entry().provider() == Local(model="smollm2-135m-instruct")


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n", "[models]\n"], ids=["empty", "comment", "lines", "table"])
def test_an_empty_configuration_is_the_default_one(tmp_path: Path, text: str) -> None:
    assert Config.load(write(tmp_path, text)).entry().name == "embedded"


def test_the_embedded_model_can_be_described_anew(tmp_path: Path) -> None:
    file = write(tmp_path, '[models.embedded]\nprovider = "local"\nmodel = "smollm2-135m-instruct"\ncontext = 256\n')

    assert use(file) == Local(model="smollm2-135m-instruct", context=256)


def test_the_environment_picks_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load(write(tmp_path, WHOLE))
    monkeypatch.setenv("PROMPTKIT_MODEL", "small")

    assert config.entry().name == "small"
    assert config.entry("server").name == "server"


def test_variables_are_read_only_for_the_model_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVER_KEY", raising=False)
    config = Config.load(write(tmp_path, WHOLE))

    assert config.entry("cloud").provider()


def test_a_variables_value_is_not_expanded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_URL", "http://h/v1")
    monkeypatch.setenv("SERVER_KEY", "${env:HOME}")
    provider = Config.load(write(tmp_path, WHOLE)).entry("server").provider()

    assert isinstance(provider, OpenAI)
    assert provider.api_key == Secret("${env:HOME}")


# Where it is found


def test_the_nearest_configuration_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    far = write(tmp_path, WHOLE)
    assert Config.find(inner).file == str(far.resolve())

    near = write(tmp_path / "a", 'model = "x"\n[models.x]\nprovider = "local"\nmodel = "m"\n')
    assert Config.find(inner).file == str(near.resolve())

    monkeypatch.chdir(inner)
    assert Config.find().entry().name == "x"


def test_a_project_file_counts_only_with_its_table(tmp_path: Path) -> None:
    inner = tmp_path / "project"
    inner.mkdir()
    outer = write(tmp_path, WHOLE)
    write(inner, '[project]\nname = "x"\n[tool.ruff]\nline-length = 99\n', "pyproject.toml")
    assert Config.find(inner).file == str(outer.resolve())

    project = write(inner, '[tool.promptkit]\nmodel = "embedded"\n', "pyproject.toml")
    assert Config.find(inner).file == str(project.resolve())


def test_a_file_of_its_own_wins_over_a_project_file(tmp_path: Path) -> None:
    write(tmp_path, '[tool.promptkit]\nmodel = "embedded"\n', "pyproject.toml")
    own = write(tmp_path, WHOLE)

    assert Config.find(tmp_path).file == str(own.resolve())


def test_a_project_file_is_read_as_a_configuration_of_its_own(tmp_path: Path) -> None:
    about = '[project]\nname = "x"\n\n[tool.promptkit]\nmodel = "a"\n\n'
    model = '[tool.promptkit.models.a]\nprovider = "local"\nmodel = "m"\n'

    assert use(write(tmp_path, about + model, "pyproject.toml")) == Local(model="m")


# What is wrong

A = '[models.a]\nprovider = "openai"\nmodel = "m"\n'
USE_A = f'model = "a"\n{A}'

WRONG = [
    # at the top
    pytest.param('modle = "a"\n', 1, 1, "unknown key 'modle'", "did you mean 'model'?", id="unknown key"),
    pytest.param(f'\n[model.a]\napi_key = "{KEY}"\n', 2, 2, "model", None, id="[model.a] for [models.a]"),
    pytest.param(f'\nmodel = "b"\n{A}', 2, 1, "no model 'b'", "models: embedded, a", id="no such model"),
    pytest.param('model = "embeded"\n', 1, 1, "no model 'embeded'", "did you mean 'embedded'?", id="model misspelt"),
    pytest.param("model = 5\n", 1, 1, "model must be the name of an entry", "[models.NAME]", id="model is a number"),
    pytest.param("models = 5\n", 1, 1, "models must be a table", None, id="models is a number"),
    pytest.param("[models]\na = 5\n", 2, 1, "models.a must be a table", None, id="a model is a number"),
    pytest.param('[[models]]\nprovider = "local"\n', 1, 3, "models must be a table", None, id="models is a list"),
    # in a model
    pytest.param(
        '\n\n[models.a]\nmodel = "m"\n',
        3,
        2,
        "model 'a' needs a provider",
        'for example provider = "openai"',
        id="no provider",
    ),
    pytest.param(
        "[models.a]\nprovider = 3\n", 1, 2, "model 'a' needs a provider", "for example", id="provider is a number"
    ),
    pytest.param(
        'model = "a"\n[models.a]\nprovider = "opnai"\nmodel = "m"\n',
        3,
        1,
        "unknown provider 'opnai'",
        "did you mean 'openai'?",
        id="provider misspelt",
    ),
    pytest.param(
        'model = "a"\n[models.a]\nmodel = "m"\nprovider = "zzz"\n',
        4,
        1,
        "unknown provider 'zzz'",
        "providers: local, openai, scripted",
        id="provider unknown",
    ),
    pytest.param(
        f'{USE_A}apikey = "{KEY}"\n',
        5,
        1,
        "unknown key 'apikey' for provider 'openai'",
        "did you mean 'api_key'?",
        id="key misspelt",
    ),
    pytest.param(f"{USE_A}zzz = 1\n", 5, 1, "unknown key 'zzz'", "options of openai: model, dialect", id="key unknown"),
    pytest.param(
        f"{USE_A}_dialect = 1\n", 5, 1, "unknown key '_dialect'", "did you mean 'dialect'?", id="a private field"
    ),
    pytest.param(
        'model = "a"\n[models.a]\nprovider = "openai"\n', 2, 2, "model 'a' needs 'model'", None, id="a missing option"
    ),
    pytest.param(f"{USE_A}api_key = 5\n", 5, 1, "api_key must be a printable text", None, id="key is a number"),
    pytest.param(f'{USE_A}api_key = ""\n', 5, 1, "api_key must be a printable text", None, id="key is empty"),
    pytest.param(
        f'{USE_A}api_key = "{KEY}\\n"\n', 5, 1, "api_key must be a printable text", None, id="key with a line end"
    ),
    pytest.param(
        f'{USE_A}api_key = "{KEY}é"\n', 5, 1, "api_key must be a printable text", None, id="key in another script"
    ),
    pytest.param(
        f"{USE_A}dialect = 5\n", 5, 1, "dialect: Input should be a valid string", None, id="dialect is a number"
    ),
    pytest.param(
        f'{USE_A}dialect = "grok"\n', 5, 1, "unknown dialect 'grok'", "did you mean 'groq'?", id="dialect misspelt"
    ),
    pytest.param(
        f'{USE_A}base_url = "h/v1"\n', 5, 1, "base_url must begin with http", "for example", id="address without scheme"
    ),
    pytest.param(
        f'{USE_A}dialect = "compatible"\n', 2, 2, "base_url must begin with http", "for example", id="no address at all"
    ),
    pytest.param(
        f"{USE_A}attempts = 0\n", 5, 1, "attempts must be a whole number of at least 1", None, id="attempts of 0"
    ),
    pytest.param(f"{USE_A}attempts = true\n", 5, 1, "attempts must be", None, id="attempts is a yes"),
    pytest.param(f'{USE_A}attempts = "3"\n', 5, 1, "attempts must be", None, id="attempts in quotes"),
    pytest.param(
        'model = "a"\n[models.a]\nprovider = "local"\nmodel = "m"\ncontext = "512"\n',
        5,
        1,
        "context: Input should be a valid integer",
        None,
        id="a number in quotes",
    ),
    pytest.param(
        'model = "a"\n[models.a]\nprovider = "local"\nmodel = "m"\nprompt_cache = 1\n',
        5,
        1,
        "prompt_cache: Input should be a valid boolean",
        None,
        id="a number for yes",
    ),
    pytest.param(
        'model = "a"\n[models.a]\nprovider = "local"\nmodel = "m"\nthreads = -1\n',
        5,
        1,
        "threads must be 0 or more, got -1",
        None,
        id="threads below 0",
    ),
    # in a table of a model
    pytest.param(
        f"{USE_A}timeout = {{ connect = 5, raed = 6 }}\n",
        5,
        26,
        "unknown timeout 'raed'",
        "did you mean 'read'?",
        id="unknown timeout",
    ),
    pytest.param(
        f"{USE_A}[models.a.timeout]\nread = 1\ntotl = 6\n",
        7,
        1,
        "unknown timeout 'totl'",
        "did you mean 'total'?",
        id="in its own table",
    ),
    pytest.param(
        f"{USE_A}timeout.totl = 6\n", 5, 1, "unknown timeout 'totl'", "did you mean 'total'?", id="in a dotted key"
    ),
    pytest.param(f"{USE_A}timeout = 5\n", 5, 1, "models.a.timeout must be a table", None, id="timeout is a number"),
    pytest.param(
        f'{USE_A}timeout = {{ read = "5" }}\n', 5, 13, "timeout 'read' must be a number", None, id="timeout in quotes"
    ),
    pytest.param(f"{USE_A}timeout = {{ read = true }}\n", 5, 13, "timeout 'read' must be", None, id="timeout is a yes"),
    pytest.param(f"{USE_A}timeout = {{ read = 0 }}\n", 5, 13, "timeout 'read' must be", None, id="timeout of 0"),
    pytest.param(f"{USE_A}timeout = {{ total = -1 }}\n", 5, 13, "timeout 'total' must be", None, id="timeout below 0"),
    pytest.param(
        f"{USE_A}timeout = {{ total = inf }}\n", 5, 13, "timeout 'total' must be", None, id="timeout for ever"
    ),
    pytest.param(
        f"{USE_A}timeout = {{ total = nan }}\n", 5, 13, "timeout 'total' must be", None, id="timeout of no number"
    ),
    pytest.param(
        f"{USE_A}parameters = {{ temprature = 1 }}\n",
        5,
        16,
        "unknown parameter 'temprature'",
        "did you mean 'temperature'?",
        id="unknown parameter",
    ),
    pytest.param(
        f"{USE_A}parameters = [1]\n", 5, 1, "models.a.parameters must be a table", None, id="parameters is a list"
    ),
    pytest.param(
        f"{USE_A}parameters = {{ seed = 1, temperature = -1 }}\n",
        5,
        26,
        "parameter 'temperature' must be a number of at least 0, got -1",
        None,
        id="parameter out of range",
    ),
    pytest.param(
        f'{USE_A}parameters = {{ max_tokens = "many" }}\n',
        5,
        16,
        "parameter 'max_tokens' must be",
        None,
        id="parameter in words",
    ),
    pytest.param(
        f"{USE_A}parameters = {{ stop = 5 }}\n", 5, 16, "parameter 'stop' must be", None, id="stop is a number"
    ),
    pytest.param(
        f"{USE_A}parameters = {{ stop = {{ a = 1 }} }}\n", 5, 16, "parameter 'stop' must be", None, id="stop is a table"
    ),
    # inline tables
    pytest.param(
        'model = "a"\n[models]\na = { provider = "openai", model = "m", zzz = 1 }\n',
        3,
        41,
        "unknown key 'zzz'",
        "options of openai",
        id="unknown key in an inline table",
    ),
    pytest.param(
        'model = "a"\nmodels.a = { provider = "openai", model = "m", timeout = { red = 1 } }\n',
        2,
        60,
        "unknown timeout 'red'",
        "did you mean 'read'?",
        id="unknown key in an inline table of an inline table",
    ),
    pytest.param(
        'model = "gpt-5.1"\n\n[models."gpt-5.1"]\nprovider = "openai"\nmodel = "gpt-5.1"\nzzz = 1\n',
        6,
        1,
        "unknown key 'zzz'",
        "options of openai",
        id="a model named with a dot",
    ),
    pytest.param(
        f'model = "a"\n[models.b]\nprovider = "local"\nmodel = "m"\nzzz = 1\n\n{A}zzz = 2\n',
        10,
        1,
        "unknown key 'zzz' for provider 'openai'",
        None,
        id="the same key in another model",
    ),
    # environment variables
    pytest.param(
        f'{USE_A}api_key = "${{env:NOT_THERE}}"\n',
        5,
        1,
        "environment variable NOT_THERE is not set",
        "export NOT_THERE=...",
        id="a variable that is not set",
    ),
    pytest.param(
        f'{USE_A}api_key = "${{env:EMPTY}}"\n',
        5,
        1,
        "environment variable EMPTY is not set",
        "export EMPTY=...",
        id="an empty one",
    ),
    pytest.param(
        'model = "a"\n[models.a]\nprovider = "openai"\nmodel = "${env:SET}"\n',
        4,
        1,
        "environment variables stand only for a whole key or base_url",
        'as in api_key = "${env:NAME}"',
        id="a variable where none may stand",
    ),
    pytest.param(
        f'{USE_A}api_key = "Bearer ${{env:SET}}"\n', 5, 1, "only for a whole key", "as in", id="part of a key"
    ),
    pytest.param(
        f'{USE_A}api_key = "${{env:SET}}${{env:SET}}"\n', 5, 1, "only for a whole key", "as in", id="two of them"
    ),
    pytest.param(f'{USE_A}api_key = "${{SET}}"\n', 5, 1, "only for a whole key", "as in", id="without its kind"),
    pytest.param(f'{USE_A}api_key = "${{env:SET:-x}}"\n', 5, 1, "only for a whole key", "as in", id="with a default"),
    # no TOML
    pytest.param('model = "a"\nmodels = \n', 2, 10, "not valid TOML: Invalid value", None, id="a value is missing"),
    pytest.param(f'{A}model = "n"\n', 4, 12, "not valid TOML: Cannot overwrite a value", None, id="a key twice"),
    pytest.param(f"{A}{A}", 4, 10, "not valid TOML: Cannot declare", None, id="a table twice"),
    pytest.param("model: a\n", 1, 6, "not valid TOML: Expected '='", None, id="YAML"),
    pytest.param('model = "a\n', 1, 11, "not valid TOML: Illegal character", None, id="an open quote"),
    pytest.param(
        'model = "a"\n[models.a', 2, 10, "not valid TOML: Expected ']'", None, id="an open bracket at the end"
    ),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), WRONG)
def test_a_wrong_configuration_says_where(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    line: int,
    column: int,
    message: str,
    hint: str | None,
) -> None:
    monkeypatch.setenv("SET", "value-of-a-variable")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("NOT_THERE", raising=False)
    file = write(tmp_path, text)

    with pytest.raises(ConfigError) as raised:
        use(file)

    error = raised.value
    assert KEY not in str(error)
    assert "value-of-a-variable" not in str(error)
    assert message in error.message
    assert (error.file, error.line, error.column) == (str(file), line, column)
    assert str(error).startswith(f"{file}:{line}:{column}: ")
    if hint is not None:
        assert hint in (error.hint or "")


def test_a_file_that_is_no_utf8_says_where(tmp_path: Path) -> None:
    file = tmp_path / "promptkit.toml"
    file.write_bytes('model = "a"\n[models.a]\nmodel = "ü"\n'.encode("latin-1"))

    with pytest.raises(ConfigError, match="not UTF-8") as raised:
        Config.load(file)

    assert (raised.value.file, raised.value.line) == (str(file), 3)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: .*promptkit\.toml"):
        Config.load(tmp_path / "promptkit.toml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=tmp_path.name):
        Config.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param('[project]\nname = "x"\n\n[tool.promptkit]\nmodle = "a"\n', 5, "unknown key 'modle'", id="a key"),
        pytest.param(
            '[tool.other]\nmodel = "b"\n[tool.promptkit]\nmodel = "b"\n', 4, "no model 'b'", id="a key others have too"
        ),
        pytest.param(
            '[models.a]\nzzz = 1\n\n[tool.promptkit]\nmodel = "a"\n\n'
            '[tool.promptkit.models.a]\nprovider = "local"\nmodel = "m"\nzzz = 1\n',
            10,
            "unknown key 'zzz'",
            id="an option",
        ),
        pytest.param('[tool]\npromptkit = "a"\n', 2, "must be a table", id="no table"),
        pytest.param('tool = "a"\n', 1, "must be a table", id="no tools"),
        pytest.param("[tool.promptkit]\nmodel = \n", 2, "not valid TOML", id="no TOML"),
    ],
)
def test_a_wrong_project_file_says_where(tmp_path: Path, text: str, line: int, message: str) -> None:
    file = write(tmp_path, text, "pyproject.toml")

    with pytest.raises(ConfigError) as raised:
        use(file)

    assert message in raised.value.message
    assert (raised.value.file, raised.value.line) == (str(file), line)


def test_a_project_file_without_tools_to_speak_of_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 'tool = "hammer"\n', "pyproject.toml")

    assert Config.find(tmp_path).file == ""


@pytest.mark.parametrize(
    ("name", "hint"), [("smal", "did you mean 'small'?"), ("zzz", "models: embedded, cloud, server, small")]
)
def test_a_name_in_the_environment_that_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    config = Config.load(write(tmp_path, WHOLE))
    monkeypatch.setenv("PROMPTKIT_MODEL", name)

    with pytest.raises(ConfigError) as raised:
        config.entry()

    assert raised.value.message == f"PROMPTKIT_MODEL names no model: {name!r}"
    assert raised.value.hint == hint


def test_a_name_asked_for_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model 'x'"):
        Config.load(write(tmp_path, WHOLE)).entry("x")


# Keys


@pytest.mark.parametrize("api_key", [KEY, "${env:PLANTED}"], ids=["in the file", "in the environment"])
def test_a_key_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api_key: str) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    config = Config.load(write(tmp_path, f'{USE_A}api_key = "{api_key}"\n'))
    entry = config.entry()
    provider = entry.provider()

    assert isinstance(provider, OpenAI)
    assert provider.api_key is not None
    assert provider.api_key.reveal() == KEY
    for shown in (config, entry, provider, config.models, [config, entry]):
        assert KEY not in repr(shown)
        assert KEY not in str(shown)


@pytest.mark.parametrize("value", [KEY, "${env:PLANTED}"], ids=["in the file", "in the environment"])
def test_a_key_in_the_place_of_the_address_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("PLANTED", KEY)

    with pytest.raises(ConfigError, match="base_url must begin with") as raised:
        use(write(tmp_path, f'{USE_A}base_url = "{value}"\n'))

    assert KEY not in str(raised.value)


def test_the_built_in_providers_are_listed_without_being_imported() -> None:
    assert (
        provider_names().items()
        >= {
            "local": "promptkit.providers.local:Local",
            "openai": "promptkit.providers.openai:OpenAI",
            "scripted": "promptkit.providers.scripted:Scripted",
        }.items()
    )

"""The same program on three models: only promptkit.toml changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptkit import Client, OutputError, Prompt
from tests.conftest import LlamaServer

IN_PROCESS = """
model = "here"
[models.here]
provider = "local"
model = "smollm2-135m-instruct"
context = 2048
prompt_cache = false
"""
OVER_HTTP = """
model = "there"
[models.there]
provider = "openai"
dialect = "llamacpp"
base_url = "{url}"
model = "any"
api_key = "${{env:LLAMA_KEY}}"
"""
SCRIPTED = """
model = "script"
[models.script]
provider = "scripted"
replies = ["From the script."]
"""


def program() -> str:
    """What a user's script does; it names no model."""
    reply = Prompt.load("support_reply").with_parameters(max_tokens=24, temperature=0)
    with Client() as client:
        try:
            return client.run(reply, product="Acme", ticket={"subject": "Late", "body": "Where is my lamp?"}).text
        except OutputError as cut_off:
            return cut_off.text


def test_three_models_by_editing_the_configuration_only(
    llama_server: LlamaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLAMA_KEY", llama_server.key)

    def run_with(config: str) -> str:
        Path("promptkit.toml").write_text(config, encoding="utf-8")
        return program()

    here = run_with(IN_PROCESS)
    there = run_with(OVER_HTTP.format(url=llama_server.url))
    assert here == there
    assert len(here) > 20
    assert run_with(SCRIPTED) == "From the script."

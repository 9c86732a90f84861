"""Fixtures for the real thing: the embedded model, and llama.cpp as an HTTP server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promptkit import local_models

SERVER_KEY = "sk-test-4b1d9c"

# Checked by mypy, never run: it names templates that do not exist.
collect_ignore = ["typing"]


@dataclass(frozen=True)
class LlamaServer:
    """A llama.cpp HTTP server of this test run."""

    url: str
    key: str


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The embedded model's file; fetched once if it is not on this machine."""
    return local_models.locate("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def llama_server(model_file: Path) -> Iterator[LlamaServer]:
    """llama.cpp serving the embedded model over HTTP, with a key, and nothing kept between requests."""
    # Threads that wait by spinning are many times slower where several processes share the processors.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import xllamacpp

    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = str(model_file)
    parameters.n_ctx = 2048
    parameters.n_parallel = 1
    parameters.cache_prompt = False
    parameters.port = 0
    parameters.cpuparams.n_threads = 1
    parameters.api_keys = [SERVER_KEY]
    parameters.endpoint_slots = True
    parameters.warmup = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    yield LlamaServer(url=f"{server.listening_address}/v1", key=SERVER_KEY)
    del server


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROMPTKIT_MODEL", "PROMPTKIT_OFFLINE"):
        monkeypatch.delenv(name, raising=False)

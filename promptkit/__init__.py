"""Typed prompts from Jinja templates, sent to any model, its weights untouched.

Every name is imported on first use, so that ``import promptkit`` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for typing's own; importing typing takes milliseconds
if TYPE_CHECKING:
    from typing import Any

    from promptkit.client import Client
    from promptkit.config import Config
    from promptkit.errors import (
        DefinitionError,
        InputError,
        OutputError,
        PromptkitError,
        ProviderError,
    )
    from promptkit.messages import Message
    from promptkit.plans import Result
    from promptkit.prompts import Prompt
    from promptkit.providers.scripted import Scripted
    from promptkit.requests import Completion, Parameters, Request, Usage

__version__ = "0.1.0"

_HOMES = {
    "Client": "client",
    "Completion": "requests",
    "Config": "config",
    "DefinitionError": "errors",
    "InputError": "errors",
    "Message": "messages",
    "OutputError": "errors",
    "Parameters": "requests",
    "Prompt": "prompts",
    "PromptkitError": "errors",
    "ProviderError": "errors",
    "Request": "requests",
    "Result": "plans",
    "Scripted": "providers.scripted",
    "Usage": "requests",
}

__all__ = [
    "Client",
    "Completion",
    "Config",
    "DefinitionError",
    "InputError",
    "Message",
    "OutputError",
    "Parameters",
    "Prompt",
    "PromptkitError",
    "ProviderError",
    "Request",
    "Result",
    "Scripted",
    "Usage",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

"""`Client`: owns connections and models, and runs plans, sync or async."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, overload

from promptkit.config import Config, ModelConfig
from promptkit.errors import DefinitionError
from promptkit.plans import Result, Runnable, drive
from promptkit.prompts import Prompt
from promptkit.providers.base import Provider
from promptkit.requests import Completion, Request
from promptkit.streams import AsyncStream, Stream
from promptkit.transport.base import Timeout, Transports
from promptkit.transport.exchange import Deliver, Exchange
from promptkit.transport.portal import Portal
from promptkit.transport.retry import Sleep

__all__ = ["Client"]

In = TypeVar("In")
Out = TypeVar("Out")


class Client:
    """Runs prompts on the model that the configuration names.

    One client may be used from several threads and event loops, and over several ``asyncio.run``.

    Args:
        config: a `Config`, or the file of one; by default the nearest ``promptkit.toml``, else the embedded model.
        model: the entry to use, instead of ``PROMPTKIT_MODEL`` or the configuration's ``model``.
        provider: a provider to use instead of a configured model, as `Scripted` in tests.
        timeout: instead of the configured one.
        attempts: most tries of one request, instead of the configured number.
        sleep: how to wait between tries.

    Raises `ConfigError` with file and line.

    >>> from promptkit import Prompt, Scripted
    >>> with Client(provider=Scripted(replies=["Hello!"])) as client:
    ...     client.run(Prompt("Greet {{ name }}."), name="Ann").output
    'Hello!'
    """

    def __init__(
        self,
        config: Config | str | Path | None = None,
        *,
        model: str | None = None,
        provider: Provider | None = None,
        timeout: Timeout | None = None,
        attempts: int | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if provider is not None:
            if config is not None or model is not None:
                raise DefinitionError("pass either a provider or a configured model, not both")
            entry = ModelConfig(name="provider", kind=type(provider).__name__)
        else:
            if config is None:
                config = Config.find()
            elif not isinstance(config, Config):
                config = Config.load(config)
            entry = config.entry(model)
        attempts = entry.attempts if attempts is None else attempts
        if type(attempts) is not int or attempts < 1:
            raise DefinitionError(f"attempts must be a whole number of at least 1, got {attempts!r}")
        if timeout is not None and not isinstance(timeout, Timeout):
            raise DefinitionError(f"timeout must be a Timeout, got {timeout!r}", hint="Timeout(total=60)")
        self.model = entry
        self._transports = Transports()
        self._portal = Portal()
        self._closed = False
        self._exchange = Exchange(
            provider=provider or entry.provider(),
            transports=self._transports,
            timeout=timeout or entry.timeout,
            attempts=attempts,
            sleep=sleep,
        )

    @overload
    def run(self, prompt: Prompt[In, Out], inputs: In | Mapping[str, Any], /) -> Result[Out]: ...
    @overload
    def run(self, prompt: Runnable[Out], /, **fields: Any) -> Result[Out]: ...
    def run(self, prompt: Any, inputs: Any = None, /, **fields: Any) -> Result[Any]:
        """Run a prompt and wait for its result.

        Args:
            prompt: a `Prompt`, or anything else that has a plan.
            inputs: one instance of the input type, or a mapping.
            **fields: or the inputs as keywords.

        Raises `InputError` before anything is sent; `ProviderError` when the model's server fails;
        `OutputError` when the answer is not a complete value of the output type.
        """
        return self._portal.run(self._open(self._drive(prompt, inputs, fields)))

    @overload
    async def arun(self, prompt: Prompt[In, Out], inputs: In | Mapping[str, Any], /) -> Result[Out]: ...
    @overload
    async def arun(self, prompt: Runnable[Out], /, **fields: Any) -> Result[Out]: ...
    async def arun(self, prompt: Any, inputs: Any = None, /, **fields: Any) -> Result[Any]:
        """`run`, in the caller's event loop."""
        return await self._open(self._drive(prompt, inputs, fields))

    @overload
    def stream(self, prompt: Prompt[In, Out], inputs: In | Mapping[str, Any], /) -> Stream[Out]: ...
    @overload
    def stream(self, prompt: Runnable[Out], /, **fields: Any) -> Stream[Out]: ...
    def stream(self, prompt: Any, inputs: Any = None, /, **fields: Any) -> Stream[Any]:
        """Run a prompt and iterate over the answer's text as it comes.

        Raises what `run` raises, while iterating. The text that had come is in a `ProviderError`'s ``partial``
        and an `OutputError`'s ``text``.
        """
        return Stream(lambda deliver: self._portal.start(self._open(self._drive(prompt, inputs, fields, deliver))))

    @overload
    def astream(self, prompt: Prompt[In, Out], inputs: In | Mapping[str, Any], /) -> AsyncStream[Out]: ...
    @overload
    def astream(self, prompt: Runnable[Out], /, **fields: Any) -> AsyncStream[Out]: ...
    def astream(self, prompt: Any, inputs: Any = None, /, **fields: Any) -> AsyncStream[Any]:
        """`stream`, in the caller's event loop: ``async for text in client.astream(...)``."""
        return AsyncStream(lambda deliver: self._open(self._drive(prompt, inputs, fields, deliver)))

    def close(self) -> None:
        """Close connections and free models. A closed client runs nothing more."""
        if not self._closed:
            self._closed = True
            self._portal.close(self._transports.aclose)

    async def aclose(self) -> None:
        """`close`, in the caller's event loop."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._portal.close)
            await self._transports.aclose()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Client(model={self.model.name!r}, provider={self._exchange.provider!r})"

    def _open(self, running: Coroutine[Any, Any, Result[Any]]) -> Coroutine[Any, Any, Result[Any]]:
        if self._closed:
            running.close()
            raise DefinitionError("the client is closed", hint="run inside the `with Client() as client:` block")
        return running

    async def _drive(
        self, prompt: Any, inputs: Any, fields: dict[str, Any], deliver: Deliver | None = None
    ) -> Result[Any]:
        if not hasattr(prompt, "plan"):
            raise DefinitionError(f"expected a Prompt, or anything else with a plan, got {type(prompt).__name__}")

        async def ask(requests: Sequence[Request]) -> Sequence[Completion]:
            tasks = [asyncio.ensure_future(self._complete(request, deliver)) for request in requests]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

        return await drive(prompt.plan(inputs, **fields), ask)

    async def _complete(self, request: Request, deliver: Deliver | None) -> Completion:
        parameters = request.parameters.over(self.model.parameters)
        return await self._exchange.complete(replace(request, parameters=parameters), deliver)

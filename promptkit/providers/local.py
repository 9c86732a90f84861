"""A GGUF model run by llama.cpp in this process: the same chat-completions JSON, without a server."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from promptkit.errors import ConfigError
from promptkit.providers.base import Delta, HttpCall, HttpReply, ServerEvent
from promptkit.providers.openai import chat_body, encode, parse_event, parse_reply
from promptkit.requests import Completion, Request

__all__ = ["Local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """llama.cpp in this process (extra ``local``).

    Attributes:
        model: a name from ``promptkit models``, or the path of a ``.gguf`` file.
        context: most tokens of prompt and answer together; 0 takes what the model was trained with.
        threads: CPU threads; 0 takes half of the processors.
        prompt_cache: reuse the work on a prompt's beginning from earlier calls. Faster; but at
            temperature 0 an answer may differ from one computed from scratch.

    >>> Local(model="smollm2-135m-instruct").build(Request(messages=()), stream=True).url
    'llama:smollm2-135m-instruct?context=0&threads=0'
    """

    model: str
    context: int = 0
    threads: int = 0
    prompt_cache: bool = True

    def __post_init__(self) -> None:
        for name in ("context", "threads"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, got {getattr(self, name)}", field=name)

    def build(self, request: Request, *, stream: bool) -> HttpCall:
        options = urlencode({"context": self.context, "threads": self.threads})
        body = chat_body(request, self.model, "max_tokens", stream=stream)
        body["cache_prompt"] = self.prompt_cache
        # A sign of life after every batch of the prompt, and with it a moment to stop at.
        body["return_progress"] = True
        return HttpCall(url=f"llama:{quote(self.model)}?{options}", body=encode(body))

    def parse(self, reply: HttpReply) -> Completion:
        return parse_reply(reply)

    def delta(self, event: ServerEvent) -> Delta | None:
        return parse_event(event)

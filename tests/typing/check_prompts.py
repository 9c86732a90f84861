"""What mypy knows of a prompt's types; checked by mypy, never run."""

from __future__ import annotations

from typing import Any, assert_type

from pydantic import BaseModel

from promptkit import Client, Prompt, Result


class Ticket(BaseModel):
    subject: str


class Triage(BaseModel):
    urgent: bool


typed = Prompt.load("triage", input=Ticket, output=Triage)
assert_type(typed, Prompt[Ticket, Triage])
assert_type(Prompt.load("triage"), Prompt[Any, Any])
assert_type(Prompt.load("triage", output=Triage), Prompt[Any, Triage])
assert_type(Prompt("{{ subject }}", input=Ticket), Prompt[Ticket, Any])
assert_type(Prompt("{{ subject }}", input=Ticket, output=Triage), Prompt[Ticket, Triage])

client = Client()
assert_type(client.run(typed, Ticket(subject="s")), Result[Triage])
assert_type(client.run(typed, subject="s").output, Triage)
client.run(typed, Triage(urgent=True))  # type: ignore[misc]


async def asynchronously() -> None:
    assert_type((await client.arun(typed, Ticket(subject="s"))).output, Triage)
    async for text in client.astream(typed, Ticket(subject="s")):
        assert_type(text, str)


for text in client.stream(typed, subject="s"):
    assert_type(text, str)

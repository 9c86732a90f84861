"""What must not hang or leak: clients in forks, inside their own runs, dropped, closed in a race."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from promptkit import Client, Config, DefinitionError, Prompt, Request, Scripted
from promptkit.transport.base import Timeout

HI = Prompt("Hi")


def test_a_run_inside_a_run_of_the_same_client_is_refused_not_awaited() -> None:
    def reply(_: Request) -> str:
        return client.run(HI).output  # type: ignore[no-any-return]

    with Client(provider=Scripted(replies=reply)) as client, pytest.raises(DefinitionError, match="wait for itself"):
        client.run(HI)


def test_an_exit_in_a_users_code_leaves_the_client_alive() -> None:
    answers = iter([SystemExit(3), "fine"])

    def reply(_: Request) -> str:
        answer = next(answers)
        if isinstance(answer, SystemExit):
            raise answer
        return answer

    with Client(provider=Scripted(replies=reply)) as client:
        with pytest.raises(SystemExit):
            client.run(HI)
        assert client.run(HI).output == "fine"


def test_a_dropped_client_takes_its_thread_with_it() -> None:
    before = threading.active_count()
    for _ in range(5):
        Client(provider=Scripted(replies=["a"])).run(HI)
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "promptkit":
            thread.join(5)
    assert threading.active_count() == before


def test_closing_while_others_run_ends_all_of_them() -> None:
    for _ in range(100):
        client = Client(provider=Scripted(replies=["a"], repeat=True))
        ended: list[object] = []

        def work(client: Client = client, ended: list[object] = ended) -> None:
            try:
                ended.append(client.run(HI).output)
            except DefinitionError as error:
                ended.append(error)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        client.close()
        for thread in threads:
            thread.join(10)
        assert len(ended) == 3


FORK = """
import os
from promptkit import Client, Prompt, Scripted
client = Client(provider=Scripted(replies=["a"], repeat=True))
client.run(Prompt("Hi"))
if (child := os.fork()) == 0:
    os._exit(0 if client.run(Prompt("Hi")).output == "a" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_client_works_on_in_a_forked_process() -> None:
    quiet = ["-W", "ignore::DeprecationWarning"]  # newer Pythons warn of every fork beside a thread
    done = subprocess.run([sys.executable, *quiet, "-c", FORK], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"attempts": 0}, "attempts must be", id="no tries"),
        pytest.param({"attempts": "2"}, "attempts must be", id="tries as a text"),
        pytest.param({"timeout": 5}, "timeout must be a Timeout", id="a bare number of seconds"),
        pytest.param({"config": Config.find()}, "either a provider or", id="two models at once"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Client(provider=Scripted(replies=["a"]), **arguments)


def test_what_has_no_plan_cannot_run() -> None:
    with Client(provider=Scripted(replies=["a"]), timeout=Timeout(total=5)) as client:
        with pytest.raises(DefinitionError, match="expected a Prompt"):
            client.run("hi")  # type: ignore[arg-type]
        with pytest.raises(DefinitionError, match="not one text"):
            Scripted(replies="Hello")

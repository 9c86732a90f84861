"""Answers as they come: in order, to the end, or left early."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from promptkit import Client, Prompt
from promptkit.errors import DefinitionError, NotParsed, ServerFailed
from promptkit.providers.openai import OpenAI
from promptkit.providers.scripted import Fault, Scripted
from tests.transport.servers import Connection, FaultServer, text

HI = Prompt("Hi")
SOON = 2.0


def scripted(*replies: str | Fault) -> Client:
    return Client(provider=Scripted(replies=replies), attempts=1)


@contextmanager
def endless() -> Iterator[tuple[FaultServer, Client]]:
    """A server that talks until its client hangs up, and notes when it does."""

    def script(connection: Connection) -> None:
        connection.stream(text("word "))
        server.wait_for_leave(connection)

    server = FaultServer(script)
    provider = OpenAI(model="m", dialect="compatible", base_url=server.url)
    with server, Client(provider=provider) as client:
        yield server, client


# Sync


def test_pieces_come_in_order_and_make_the_result() -> None:
    with scripted("one two three") as client:
        stream = client.stream(HI)
        pieces = list(stream)
        result = stream.result()

    assert pieces == ["one", " two", " three"]
    assert result.output == result.text == "one two three"
    assert len(result.requests) == 1


def test_the_result_can_be_taken_without_iterating() -> None:
    with scripted("one two") as client:
        assert client.stream(HI).result().output == "one two"


def test_the_result_can_be_taken_twice() -> None:
    with scripted("one two") as client:
        stream = client.stream(HI)
        assert stream.result() is stream.result()


def test_iterating_goes_on_where_it_stopped() -> None:
    with scripted("one two three") as client:
        stream = client.stream(HI)
        first = next(iter(stream))
        assert [first, *stream] == ["one", " two", " three"]
        assert list(stream) == []


def test_a_failure_comes_while_iterating_and_with_the_result() -> None:
    with scripted(Fault(status=503, message="down")) as client:
        stream = client.stream(HI)
        with pytest.raises(ServerFailed, match="down"):
            list(stream)
        with pytest.raises(ServerFailed, match="down"):
            stream.result()


def test_text_that_is_no_output_is_delivered_all_the_same() -> None:
    seen: list[str] = []
    with scripted("not a number") as client:
        stream = client.stream(Prompt("Hi", output=int))
        with pytest.raises(NotParsed) as raised:
            seen.extend(stream)

    assert "".join(seen) == raised.value.text == "not a number"


def test_breaking_out_hangs_up() -> None:
    with endless() as (server, client):
        for piece in client.stream(HI):
            assert piece == "word "
            break
        assert server.left.wait(SOON)


def test_leaving_the_block_hangs_up() -> None:
    with endless() as (server, client):
        with client.stream(HI) as stream:
            assert next(iter(stream)) == "word "
            assert not server.left.is_set()
        assert server.left.wait(SOON)


def test_an_error_in_the_block_hangs_up() -> None:
    with endless() as (server, client):
        with pytest.raises(ZeroDivisionError), client.stream(HI) as stream:
            len(next(iter(stream))) / 0
        assert server.left.wait(SOON)


def test_a_stream_nobody_holds_hangs_up() -> None:
    with endless() as (server, client):
        stream = client.stream(HI)
        assert next(iter(stream)) == "word "
        del stream
        gc.collect()
        assert server.left.wait(SOON)


def test_closing_from_another_thread_ends_the_iteration() -> None:
    with endless() as (server, client):
        stream = client.stream(HI)
        pieces = iter(stream)
        assert next(pieces) == "word "
        timer = threading.Timer(0.05, stream.close)
        timer.start()
        began = time.monotonic()
        with pytest.raises(DefinitionError, match="closed before it ended"):
            next(pieces)
        timer.join()
        assert time.monotonic() - began < SOON
        assert server.left.wait(SOON)


def test_closing_the_client_ends_a_stream() -> None:
    with endless() as (server, client):
        stream = client.stream(HI)
        assert next(iter(stream)) == "word "
        client.close()
        assert server.left.wait(SOON)
        with pytest.raises(DefinitionError, match="closed before it ended"):
            stream.result()


def test_closing_after_the_end_keeps_the_result() -> None:
    with scripted("one two") as client:
        with client.stream(HI) as stream:
            assert list(stream) == ["one", " two"]
        assert stream.result().output == "one two"


# Async


@asynccontextmanager
async def endless_async() -> AsyncIterator[tuple[FaultServer, Client]]:
    with endless() as (server, client):
        yield server, client
        await client.aclose()


async def left(server: FaultServer) -> bool:
    return await asyncio.to_thread(server.left.wait, SOON)


def test_async_pieces_come_in_order_and_make_the_result() -> None:
    async def go() -> tuple[list[str], str]:
        async with scripted("one two three") as client:
            stream = client.astream(HI)
            pieces = [piece async for piece in stream]
            return pieces, (await stream.result()).output

    assert asyncio.run(go()) == (["one", " two", " three"], "one two three")


def test_async_the_result_can_be_taken_without_iterating() -> None:
    async def go() -> str:
        async with scripted("one two") as client:
            return (await client.astream(HI).result()).text

    assert asyncio.run(go()) == "one two"


def test_async_a_failure_comes_while_iterating_and_with_the_result() -> None:
    async def go() -> None:
        async with scripted(Fault(status=503, message="down")) as client:
            stream = client.astream(HI)
            with pytest.raises(ServerFailed, match="down"):
                [piece async for piece in stream]
            with pytest.raises(ServerFailed, match="down"):
                await stream.result()

    asyncio.run(go())


def test_async_leaving_the_block_hangs_up() -> None:
    async def go() -> None:
        async with endless_async() as (server, client):
            async with client.astream(HI) as stream:
                async for piece in stream:
                    assert piece == "word "
                    break
            assert await left(server)

    asyncio.run(go())


def test_async_breaking_out_hangs_up() -> None:
    async def go() -> None:
        async with endless_async() as (server, client):
            async for piece in client.astream(HI):
                assert piece == "word "
                break
            gc.collect()
            assert await left(server)

    asyncio.run(go())


def test_async_cancelling_the_reader_hangs_up() -> None:
    async def go() -> None:
        async with endless_async() as (server, client):
            began = asyncio.Event()

            async def read() -> None:
                async with client.astream(HI) as stream:
                    async for _ in stream:
                        began.set()

            task = asyncio.create_task(read())
            await asyncio.wait_for(began.wait(), SOON)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await left(server)

    asyncio.run(go())


def test_async_cancelling_one_who_waits_for_the_result_does_not_stop_the_stream() -> None:
    async def go() -> str:
        async with scripted("one two") as client:
            stream = client.astream(HI)
            waiting = asyncio.create_task(stream.result())
            await asyncio.sleep(0)
            waiting.cancel()
            return "".join([piece async for piece in stream])

    assert asyncio.run(go()) == "one two"


def test_async_an_end_of_the_loop_hangs_up() -> None:
    with endless() as (server, client):

        async def go() -> str:
            return await anext(aiter(client.astream(HI)))

        assert asyncio.run(go()) == "word "
        assert server.left.wait(SOON)

"""Server-sent events, whatever pieces their bytes arrive in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptkit.errors import ServerFailed
from promptkit.providers.base import ServerEvent
from promptkit.transport.stream import MAX_EVENT, EventParser, events

# A busy machine is slow; that says nothing about the code.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

MIXED = (
    "\ufeff: a comment\r\n"
    "\r\n"
    'data: {"a": "line\u2028separator, next\u0085line, \x1d group, \x0b tab, \x0c form"}\n\n'
    "data: two\rdata: lines\r\r"
    "event: error\r\ndata: bad\r\n\r\n"
    "data:no space\n\n"
    "data:  two spaces\n\n"
    "id: 7\nretry: 3\nunknown: x\ndata: émoji 🎉 é\n\n"
    "event: forgotten\n\n"
    "data: [DONE]\r\n\r\n"
).encode()

WHOLE = [
    ServerEvent(data='{"a": "line\u2028separator, next\u0085line, \x1d group, \x0b tab, \x0c form"}'),
    ServerEvent(data="two\nlines"),
    ServerEvent(data="bad", event="error"),
    ServerEvent(data="no space"),
    ServerEvent(data=" two spaces"),
    ServerEvent(data="émoji 🎉 é"),
    ServerEvent(data="[DONE]"),
]


def parse(chunks: Iterable[bytes]) -> list[ServerEvent]:
    parser = EventParser()
    return [found for chunk in chunks for found in parser.feed(chunk)]


def pieces(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"data: a\n\n", ["a"], id="lines end at LF"),
        pytest.param(b"data: a\r\n\r\n", ["a"], id="lines end at CRLF"),
        pytest.param(b"data: a\r\rdata: b\r\r", ["a", "b"], id="lines end at CR"),
        pytest.param(b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", ["a", "b", "c"], id="line ends may be mixed"),
        pytest.param(b"data: a\ndata: b\n\n", ["a\nb"], id="several data lines are one event"),
        pytest.param(b"data\n\n", [""], id="a name alone has an empty value"),
        pytest.param(b"data:a\ndata: b\ndata:  c\n\n", ["a\nb\n c"], id="one space after the colon is dropped"),
        pytest.param(b"data: a:b\n\n", ["a:b"], id="only the first colon divides"),
        pytest.param(b": ping\n\n: ping\n\n", [], id="comments are no events"),
        pytest.param(b"event: ping\n\ndata: a\n\n", ["a"], id="a name without data is forgotten"),
        pytest.param(b"dat: a\n\nDATA: b\n\n", [], id="other fields are ignored"),
        pytest.param(b"data: a\n", [], id="an event without its empty line is not complete"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", ["a"], id="a byte order mark at the beginning is skipped"),
        pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", ["a"], id="but one later is not"),
        pytest.param("data: \ufeffa\n\n".encode(), ["\ufeffa"], id="nor one inside data"),
        pytest.param(
            "data: a\u2028b\u2029c\u0085d\n\n".encode(), ["a\u2028b\u2029c\u0085d"], id="U+2028 and NEL are text"
        ),
        pytest.param(b"data: a\x0bb\x0cc\x1cd\x1de\x00f\n\n", ["a\x0bb\x0cc\x1cd\x1de\x00f"], id="so are controls"),
        pytest.param(b"", [], id="nothing gives nothing"),
    ],
)
def test_events_by_the_standard(body: bytes, expected: list[str]) -> None:
    assert [found.data for found in parse([body])] == expected
    assert [found.data for found in parse([body[i : i + 1] for i in range(len(body))])] == expected


def test_an_event_has_a_name_only_for_itself() -> None:
    named, plain = parse([b"event: error\ndata: a\n\ndata: b\n\n"])

    assert (named.event, plain.event) == ("error", "message")


def test_a_mixed_stream_whole() -> None:
    assert parse([MIXED]) == WHOLE


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_a_mixed_stream_in_pieces_of_one_size(size: int) -> None:
    assert parse([MIXED[i : i + size] for i in range(0, len(MIXED), size)]) == WHOLE


@unhurried
@given(st.lists(st.integers(0, len(MIXED)), max_size=12))
def test_a_mixed_stream_cut_anywhere(cuts: list[int]) -> None:
    # A place may come twice: an empty piece between CR and LF changes nothing either.
    assert parse(pieces(MIXED, cuts)) == WHOLE


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
LINE_END = st.sampled_from(["\n", "\r\n", "\r"])


@unhurried
@given(st.lists(st.tuples(LINE, LINE_END), min_size=1, max_size=6), st.data())
def test_any_text_and_any_line_ends_cut_anywhere(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    body = "".join(f"data: {line}{end}" for line, end in lines).encode() + b"\n\n"
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))

    [found] = parse(pieces(body, cuts))

    assert found.data == "\n".join(line for line, _ in lines)


def test_an_empty_piece_between_cr_and_lf_is_nothing() -> None:
    assert [found.data for found in parse([b"data: a\r", b"", b"\ndata: b\r\n\r\n"])] == ["a\nb"]


@pytest.mark.parametrize(
    ("chunks", "message", "retryable"),
    [
        pytest.param(
            [b"data: \xff\xfe\n\n"], "an event of the stream is not UTF-8", True, id="bytes that are no UTF-8"
        ),
        pytest.param([b"data: \xe2\x80\n\n"], "an event of the stream is not UTF-8", True, id="half a character"),
        pytest.param([b"data: ", b"x" * MAX_EVENT], "larger than 8 MiB", False, id="a line without end"),
        pytest.param([b"data: " + b"x" * 2**20 + b"\n"] * 10, "larger than 8 MiB", False, id="an event without end"),
    ],
)
def test_a_stream_nobody_can_read(chunks: list[bytes], message: str, retryable: bool) -> None:
    with pytest.raises(ServerFailed, match=message) as raised:
        parse(chunks)

    assert raised.value.retryable is retryable


def test_a_long_stream_of_small_events_is_fine() -> None:
    parser = EventParser()

    assert sum(len(list(parser.feed(b"data: " + b"x" * 2**20 + b"\n\n"))) for _ in range(10)) == 10


def test_events_of_a_body_come_as_soon_as_they_are_complete() -> None:
    seen: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        yield b"data: a\n\ndata: "
        seen.append("after the first piece")
        yield b"b\n\n"

    async def read() -> None:
        async for found in events(body()):
            seen.append(found.data)

    asyncio.run(read())

    assert seen == ["a", "after the first piece", "b"]

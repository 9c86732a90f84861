"""Server-sent events from bytes that arrive in any pieces.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from promptkit.errors import ServerFailed
from promptkit.providers.base import ServerEvent

__all__ = ["EventParser", "events"]

MAX_EVENT = 8 * 1024 * 1024


class EventParser:
    """Feed it bytes, get the events they complete.

    Lines end at CR, LF or CRLF only: U+2028 and the like are text. A comment (a server's sign of
    life) completes nothing.

    >>> parser = EventParser()
    >>> list(parser.feed(b"data: a")), [event.data for event in parser.feed(b"b\\n\\n")]
    ([], ['ab'])
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._after_cr = False
        self._event = ""
        self._data: list[bytes] = []
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Raises `ServerFailed` for an event larger than 8 MiB or one that is not UTF-8."""
        for line in self._lines(chunk):
            if line:
                self._field(line)
            elif self._data:
                yield self._finish()
            else:
                self._event = ""

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        if self._after_cr:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        lines = (self._buffer + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        # A CR at the end may be the first half of a CRLF: the line is over, but an LF next belongs to it.
        self._after_cr = chunk.endswith(b"\r")
        self._buffer = lines.pop()
        if len(self._buffer) + sum(map(len, self._data)) > MAX_EVENT:
            raise ServerFailed(f"an event of the stream is larger than {MAX_EVENT // 2**20} MiB")
        yield from lines

    def _field(self, line: bytes) -> None:
        if not self._started:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._started = True
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")

    def _finish(self) -> ServerEvent:
        data, self._data = b"\n".join(self._data), []
        event, self._event = self._event or "message", ""
        try:
            return ServerEvent(data=data.decode("utf-8"), event=event)
        except UnicodeDecodeError:
            raise ServerFailed("an event of the stream is not UTF-8", retryable=True) from None


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[ServerEvent]:
    """The events of a body."""
    parser = EventParser()
    async for chunk in chunks:
        for event in parser.feed(chunk):
            yield event

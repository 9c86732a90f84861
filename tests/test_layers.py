"""Imports run one way: the layers of docs/contributing/architecture.md, kept by this test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import promptkit

PACKAGE = Path(promptkit.__file__).parent
ARCHITECTURE = PACKAGE.parent / "docs" / "contributing" / "architecture.md"


def layers() -> dict[str, int]:
    """Height of every module or family, the lowest being 0, read from the picture in the docs."""
    block = re.search(r"```layers\n(.*?)```", ARCHITECTURE.read_text("utf-8"), re.DOTALL)
    assert block, "architecture.md has a ```layers block"
    rows = [row.split("|") for row in block.group(1).strip().splitlines()]
    return {name.strip(): height for height, row in enumerate(reversed(rows)) for name in row}


def imports(path: Path) -> set[str]:
    """The families that a file imports, also inside functions; type-only imports do not run and do not count."""
    tree = ast.parse(path.read_text("utf-8"))
    type_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    names = []
    for node in ast.walk(tree):
        if id(node) in type_only:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "promptkit":
            names += [f"promptkit.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[1] for name in names if name.startswith("promptkit.")}


def family(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if family(path) not in ("__init__", "__main__")]


def test_every_module_has_its_layer() -> None:
    assert {family(path) for path in FILES} == set(layers())


def test_every_import_goes_down() -> None:
    height = layers()
    upward = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in FILES
        for name in imports(path) & height.keys()
        if name != family(path) and height[name] >= height[family(path)]
    ]
    assert upward == []


def test_only_transport_speaks_http_and_retries() -> None:
    offenders = [
        f"{path.relative_to(PACKAGE)} imports {library}"
        for path in FILES
        for library in ("httpx", "tenacity", "xllamacpp")
        if family(path) != "transport" and re.search(rf"^\s*(import|from) {library}\b", path.read_text("utf-8"), re.M)
    ]
    assert offenders == []


def test_functions_stay_short() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []

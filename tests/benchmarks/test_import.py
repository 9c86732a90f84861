"""What it costs to start: ratios of CPU time in fresh interpreters, taken in turn.

Floors: the bare interpreter, and importing the four libraries that promptkit stands on.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = 21
FOUR = "import jinja2.sandbox, httpx, tenacity; from pydantic import BaseModel"
TICKET = "ticket={'subject': 's', 'body': 'b'}"
PLAIN = "from promptkit import Prompt; Prompt('{% user %}Hi {{ name }}{% enduser %}').render(name='Ann')"
FILE = f"from promptkit import Prompt; Prompt.load('support_reply').render(product='Acme', {TICKET})"


def cpu_ms(code: str) -> float:
    """User and system time of one fresh interpreter, in ms."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def medians(*codes: str) -> list[float]:
    rounds = [[cpu_ms(code) for code in codes] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


@pytest.mark.benchmark
def test_starting_costs_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bare, package, four, plain, file = medians("pass", "import promptkit", FOUR, PLAIN, FILE)
    print(
        f"\nbare interpreter {bare:.1f} ms; import promptkit {package - bare:+.1f} ms"
        f"\nfour libraries +{four - bare:.1f} ms"
        f"\nPrompt and first render, template in a string: {(plain - bare) / (four - bare):.2f} x the four"
        f"\nPrompt and first render, typed template file: {(file - bare) / (four - bare):.2f} x the four"
    )
    # The goals are 0.5; the rest is what a busy machine may add.
    assert (package - bare) / (four - bare) < 0.05
    assert (plain - bare) / (four - bare) < 0.65
    assert (file - bare) / (four - bare) < 0.8

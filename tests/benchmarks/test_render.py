"""What a render costs: the ratio to raw compiled Jinja giving one string of the same text."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jinja2
import pytest

from promptkit import Prompt

ROUNDS = 30
SYSTEM = "You are a support agent for {{ shop.name }} in {{ shop.city }}. " * 8
SHOTS = "{% for shot in shots %}Question: {{ shot.question }}\nAnswer: {{ shot.answer }}\n{% endfor %}"
ASK = "{{ customer.name }} of {{ customer.address.city }} asks:\n{{ question }}"
FLOOR = SYSTEM + SHOTS + ASK
PROMPT = f"{{% system %}}{SYSTEM}{{% endsystem %}}\n{{% user %}}\n{SHOTS}{ASK}\n{{% enduser %}}"


def inputs(number: int) -> dict[str, Any]:
    return {
        "shop": {"name": f"Acme {number}", "city": "Bern"},
        "shots": [{"question": f"Question {i} of {number}? " * 4, "answer": "An answer. " * 6} for i in range(8)],
        "customer": {"name": "Ann", "address": {"city": "Basel"}},
        "question": "Where is my parcel? " * 10,
    }


def microseconds(call: Callable[[dict[str, Any]], object], rows: list[dict[str, Any]]) -> float:
    begin = time.process_time()
    for row in rows:
        call(row)
    return (time.process_time() - begin) / len(rows) * 1e6


@pytest.mark.benchmark
def test_a_safe_render_costs_about_as_much_as_a_raw_one() -> None:
    raw = jinja2.Environment().from_string(FLOOR)
    prompt = Prompt(PROMPT)
    rows = [inputs(number) for number in range(64)]
    pairs = [
        (microseconds(raw.render, rows), microseconds(lambda row: prompt.render(**row), rows)) for _ in range(ROUNDS)
    ]
    floor, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"\nraw compiled Jinja {floor:.0f} us; promptkit, sandboxed and with origins, {ours:.0f} us: {ratio:.2f} x")
    assert ratio < 1.5

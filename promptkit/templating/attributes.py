"""What a template may reach besides the data itself.

Everything else, named or not, is refused: a deny-list has to be complete, an allow-list only useful.
"""

from __future__ import annotations

import datetime

from jinja2 import filters, runtime

from promptkit.templating.blocks import Fragment

__all__ = ["allowed"]

_TEXT = frozenset(
    """
    capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric
    isspace istitle isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex
    rpartition rsplit rstrip split splitlines startswith strip swapcase title upper
    """.split()
)
_DATE = frozenset("day isocalendar isoformat isoweekday month strftime weekday year".split())
_TIME = frozenset("hour isoformat microsecond minute second strftime tzinfo".split())
_LOOP = frozenset(
    "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0".split()
)

_ALLOWED: dict[type, frozenset[str]] = {
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    str: _TEXT,
    Fragment: _TEXT,
    datetime.date: _DATE,
    datetime.time: _TIME,
    datetime.datetime: _DATE | _TIME | {"date", "time", "timestamp"},
    runtime.LoopContext: _LOOP,
    runtime.Macro: frozenset({"arguments", "caller", "catch_kwargs", "catch_varargs", "name"}),
    runtime.BlockReference: frozenset({"super"}),
    filters._GroupTuple: frozenset({"grouper", "list"}),  # what `groupby` gives
}


def allowed(kind: type) -> frozenset[str]:
    """The attributes of a type that a template may read."""
    return _ALLOWED.get(kind, frozenset())

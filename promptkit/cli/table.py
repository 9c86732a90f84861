"""Tables as plain columns: whole at any width, so that a path or a command can be copied."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["table"]


def table(*rows: Sequence[str]) -> str:
    """Rows of texts, the first one the header, in columns as wide as they need.

    >>> print(table(("name", "size"), ("smollm2", "98 MB")))
    name     size
    smollm2  98 MB
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)

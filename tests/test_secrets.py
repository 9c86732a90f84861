"""A key can be used, but not shown."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable

import pytest

from promptkit.secrets import REDACTED, Secret, redact

KEY = 'sk-"live"\\/+ä7Qz'
PLAIN = "sk-live-7Qz4vN8w"


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(str, id="str"),
        pytest.param(repr, id="repr"),
        pytest.param(lambda secret: f"{secret}", id="f-string"),
        pytest.param(lambda secret: f"{secret!r:>40}", id="f-string with a format"),
        pytest.param(lambda secret: "%s %r" % (secret, secret), id="percent"),  # noqa: UP031
        pytest.param(lambda secret: f"{ {'key': [secret]} }", id="inside a container"),
    ],
)
def test_a_secret_does_not_show(shown: Callable[[Secret], str]) -> None:
    text = shown(Secret(PLAIN))

    assert PLAIN not in text
    assert REDACTED in text


def test_reveal_gives_the_text_back() -> None:
    assert Secret(PLAIN).reveal() == PLAIN


@pytest.mark.parametrize("make", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_secret_is_not_carried_away(make: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled") as raised:
        make(Secret(PLAIN))

    assert PLAIN not in "".join(traceback.format_exception(raised.value))


def test_a_secret_has_no_dict_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(Secret(PLAIN))


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"bad key {KEY}!", f"bad key {REDACTED}!", id="as it is"),
        pytest.param(f"{KEY} and {KEY}", f"{REDACTED} and {REDACTED}", id="every time"),
        pytest.param(r"""{"key":"sk-\"live\"\\/+ä7Qz"}""", f'{{"key":"{REDACTED}"}}', id="in JSON"),
        pytest.param(r"""{"key":"sk-\"live\"\\/+\u00e47Qz"}""", f'{{"key":"{REDACTED}"}}', id="in ASCII JSON"),
        pytest.param(
            r"""{"key":"sk-\"live\"\\\/+ä7Qz"}""", f'{{"key":"{REDACTED}"}}', id="in JSON with escaped slashes"
        ),
        pytest.param("?key=sk-%22live%22%5C%2F%2B%C3%A47Qz&a", f"?key={REDACTED}&a", id="in a URL"),
        pytest.param("key: c2stImxpdmUiXC8rw6Q3UXo=", f"key: {REDACTED}=", id="in base64"),
        pytest.param("key: c2stImxpdmUiXC8rw6Q3UXo", f"key: {REDACTED}", id="in base64 without padding"),
        pytest.param("nothing here", "nothing here", id="not there at all"),
        pytest.param("", "", id="an empty text"),
    ],
)
def test_redact_takes_out_every_form_of_a_key(text: str, expected: str) -> None:
    assert redact(text, [Secret(KEY)]) == expected


def test_redact_takes_out_several_keys() -> None:
    assert redact("a1 b2 c3", [Secret("a1"), Secret("c3")]) == f"{REDACTED} b2 {REDACTED}"


def test_redact_leaves_nothing_of_a_key_that_begins_with_another() -> None:
    assert redact("sk-1-long", [Secret("sk-1"), Secret("sk-1-long")]) == REDACTED


def test_an_empty_key_redacts_nothing() -> None:
    assert redact("text", [Secret("")]) == "text"

"""The reasons of refused ceremonies, held against the library's messages, which app/ceremonies/attempts.py reads.

To update py_webauthn, raise its version in pyproject.toml, run `make lock`, and run this file. It names each message
that the new version no longer has. Then change REASONS. A message without a reason there is `malformed_response`.
"""

import ast
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import webauthn

from app.ceremonies.attempts import REASONS

LIBRARY = Path(webauthn.__file__).parent
SOURCES = [*LIBRARY.rglob("*.py")]

# A KeyError's message, which is no text of the library: it looked for this parameter of a key.
NO_MESSAGE = {"<COSEKey."}


def messages() -> Iterator[str]:
    """Yield the beginning of each message that the library raises, up to its first value."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                message = node.exc.args[0]
                if isinstance(message, ast.JoinedStr):
                    message = message.values[0]
                if isinstance(message, ast.Constant) and isinstance(message.value, str):
                    yield message.value


def test_each_message_with_a_reason_is_one_of_the_library():
    known = [*messages()]
    gone = [text for text in REASONS if text not in NO_MESSAGE and not any(each.startswith(text) for each in known)]
    assert not gone, f"py_webauthn {version('webauthn')} no longer says this: find its new words for REASONS"

"""Text from a file as a person may see it: one line, nothing invisible, not too long.

A name can hold a newline that forges a line of ours, codes that move a terminal's cursor, marks
that turn the direction of writing, or a megabyte. `shown` writes what cannot be printed as
Python's escapes and cuts the middle out of what is too long. The consoles, errors, pictures and
tables pass every text of others through here.
"""

from __future__ import annotations

MOST = 300
"""Characters of one text; a path or a name of a real model is shorter."""


def shown(text: str, most: int = MOST) -> str:
    r"""`text` on one line, unprintable characters as `\n`, `\x1b`, `\u202e`, the middle cut out."""
    if len(text) > most:
        head = (most - 1) // 2
        text = f"{text[:head]}…{text[head + 1 - most :]}"
    return text if text.isprintable() else "".join(map(_visible, text))


def visible(text: str) -> str:
    """`text` with its lines as they are, and what else cannot be printed as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" else _visible(c) for c in text)


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")

"""Places in a FlatBuffers table, each checked against the bytes that are there.

A buffer begins with the table's place; a table begins with the distance back to its vtable: sizes
of vtable and table, then the place of each field in the table, 0 where it is absent
(flatbuffers.dev, "FlatBuffers Internals"). Little endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


class Damaged(ValueError):
    """A place outside the buffer."""


def number(content: bytes, at: int, form: str) -> int:
    """The integer at `at`, in `struct`'s spelling. Raises Damaged."""
    if at < 0 or at + struct.calcsize(form) > len(content):
        raise Damaged(f"a place at byte {at} of {len(content)}")
    return int(struct.unpack_from(form, content, at)[0])


@dataclass(frozen=True)
class Table:
    """The root table of a buffer: `content` and where it begins."""

    content: bytes
    at: int

    @classmethod
    def root(cls, content: bytes, identifier: bytes) -> Table:
        """Raises Damaged for another file identifier."""
        if content[4:8] != identifier:
            raise Damaged(f"a buffer of {content[4:8]!r}, not {identifier!r}")
        return cls(content, number(content, 0, "<I"))

    def field(self, index: int) -> int | None:
        """Where field `index` lies; None if it is absent. Raises Damaged."""
        vtable = self.at - number(self.content, self.at, "<i")
        place = 4 + 2 * index
        if place + 2 > number(self.content, vtable, "<H"):
            return None
        offset = number(self.content, vtable + place, "<H")
        return self.at + offset if offset else None

    def vector(self, index: int, size: int) -> tuple[int, int]:
        """First byte and length of a vector of items of `size` bytes; (0, 0) if it is absent."""
        field = self.field(index)
        if field is None:
            return 0, 0
        start = field + number(self.content, field, "<I")
        length = number(self.content, start, "<I")
        if start + 4 + length * size > len(self.content):
            raise Damaged(f"{length} items of {size} bytes at byte {start} of {len(self.content)}")
        return start + 4, length

"""What a rule of the trace raises where it cannot map an op."""

from __future__ import annotations


class Refusal(Exception):
    """An op cannot be mapped; the walker adds where it stands and goes on."""

    def __init__(self, code: str, what: str, hint: str = "") -> None:
        self.code, self.what, self.hint = code, what, hint
        super().__init__(what)

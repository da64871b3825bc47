"""The first witness: tests of models in every framework's neurons."""

import pytest

for _library in ("torch", "norse", "snntorch", "spikingjelly"):
    pytest.importorskip(_library, reason=f"{_library} is not installed")

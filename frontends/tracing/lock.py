"""The user's model serves one thread at a time: it is changed while it is traced or recorded."""

from __future__ import annotations

import threading

LOCK = threading.RLock()
"""Tracing also sets switches of the whole process, which torch code in another thread would see."""

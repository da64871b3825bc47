"""What the control groups of Linux leave this process: version 1 and 2, every level above it.

A group's limit holds for all below it, so each level from the process's own group to the root may
be the one that ends it. Files: /proc/self/cgroup lists `id:controllers:path`, one line a hierarchy
(version 2: `0::path`); the path is below the mount of that hierarchy, unless the process sees the
mount through a namespace of its own, where the mount itself is its group.
(Linux documentation: admin-guide/cgroup-v2 "Memory", cgroup-v1/memory.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Version:
    """The names of one version's files. cached: rows of memory.stat that give way when asked."""

    limits: tuple[str, ...]
    used: str
    cached: tuple[str, ...]


V1 = Version(
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    ("total_active_file", "total_inactive_file"),
)
V2 = Version(("memory.max", "memory.high"), "memory.current", ("active_file", "inactive_file"))
UNLIMITED = 1 << 62
"""Version 1 writes the largest multiple of a page where there is no limit."""


def left(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> list[int]:
    """Bytes that each group with a limit leaves, cached files counted as free; none: no limit."""
    found = []
    for version, folder in _groups(membership, mount):
        bytes_left = _left(version, folder)
        if bytes_left is not None:
            found.append(bytes_left)
    return found


def _groups(membership: Path, mount: Path) -> Iterator[tuple[Version, Path]]:
    """Every folder that holds a group of this process, from its own to the mount."""
    try:
        rows = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:  # not Linux
        rows = []
    paths = {row[1]: row[2] for row in rows if len(row) == 3}
    memory = next((p for names, p in paths.items() if "memory" in names.split(",")), "/")
    for root in (mount, mount / "unified"):
        for folder in _levels(root, paths.get("", "/")):
            yield V2, folder
    for folder in _levels(mount / "memory", memory):
        yield V1, folder


def _levels(root: Path, path: str) -> Iterator[Path]:
    """`root` and each folder down to `path` that exists there."""
    yield root
    folder = root
    for part in path.strip("/").split("/"):
        if part in ("", ".", "..") or not (folder / part).is_dir():
            return
        folder /= part
        yield folder


def _left(version: Version, folder: Path) -> int | None:
    limits = [_number(folder / name) for name in version.limits]
    known = [limit for limit in limits if limit is not None and limit < UNLIMITED]
    used = _number(folder / version.used)
    if not known or used is None:
        return None
    return min(known) - used + _cached(version, folder)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _cached(version: Version, folder: Path) -> int:
    try:
        rows = (row.split() for row in (folder / "memory.stat").read_text().splitlines())
        stat = {row[0]: int(row[1]) for row in rows if len(row) == 2}
    except (OSError, ValueError):
        return 0
    return sum(stat.get(name, 0) for name in version.cached)

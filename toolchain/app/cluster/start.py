"""Which Dask scheduler is used, and how it is known for the right one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.errors import BackendError, InputError, MissingPartError
from ...ground.folder import worker_environment

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

CONNECT_S = 10.0
START_S = 180.0
"""Seconds for the cluster of this machine to start its workers."""
END_S = 20.0
HINT = "pip install 'cryptography>=42' 'distributed>=2024.1', or leave --engine"


@dataclass(frozen=True)
class Tls:
    """Files (PEM) for a scheduler at `tls://`: who signs, and who we are."""

    ca: Path
    cert: Path
    key: Path


def tls_of(ca: Path | None, cert: Path | None, key: Path | None) -> Tls | None:
    """What the options say; None without any. Raises InputError (SFX-E663) unless all are files."""
    given = {"--tls-ca": ca, "--tls-cert": cert, "--tls-key": key}
    if not any(given.values()):
        return None
    wrong = [f"{n} {p or 'is missing'}" for n, p in given.items() if p is None or not p.is_file()]
    if wrong or ca is None or cert is None or key is None:
        raise InputError(
            "SFX-E663",
            f"TLS needs three files that are there: {', '.join(wrong)}",
            hint="--tls-ca CA --tls-cert CERTIFICATE --tls-key KEY, as `dask scheduler` takes them",
        )
    return Tls(ca, cert, key)


@contextmanager
def client_of(scheduler: str | None, tls: Tls | None = None) -> Iterator[Client]:
    """A client of the scheduler at an address, or of workers on this machine, one per core.

    Raises MissingPartError (SFX-E650) without Dask or what makes its keys, BackendError (SFX-E651
    nobody answers, SFX-E661 the cluster does not start), InputError (SFX-E663).
    """
    absent = [n for n in ("cryptography", "distributed") if find_spec(n) is None]
    if "distributed" in absent or (absent and scheduler is None):
        raise MissingPartError("SFX-E650", f"not installed: {', '.join(absent)}", hint=HINT)
    if scheduler is None:
        with _own() as (address, security), _connected(address, security) as client:
            yield client
    else:
        with _connected(scheduler, _security(scheduler, tls)) as client:
            yield client


@contextmanager
def _connected(address: str, security: Security | None) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False, security=security)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise BackendError(
            "SFX-E651",
            f"no Dask scheduler answers at {address} within {CONNECT_S:.0f} s: {error}",
            hint="start one with `dask scheduler`, and workers with `dask worker ADDRESS`; one at "
            "tls:// needs --tls-ca, --tls-cert and --tls-key",
        ) from None
    with client:
        yield client


def _security(scheduler: str, tls: Tls | None) -> Security | None:
    from distributed.security import Security

    if tls is None:
        return None
    if not scheduler.startswith("tls://"):
        raise InputError(
            "SFX-E663",
            "TLS files are given, but the address is not of a scheduler with TLS",
            where=scheduler,
            hint="its address begins with tls://",
        )
    return Security(
        require_encryption=True,
        tls_ca_file=str(tls.ca),
        tls_client_cert=str(tls.cert),
        tls_client_key=str(tls.key),
    )


@contextmanager
def _own() -> Iterator[tuple[str, Security]]:
    """The address and key of a cluster of this machine that lets nobody else in."""
    from distributed.security import Security

    place = Path(tempfile.mkdtemp(prefix="sfx-dask-"))  # of mode 0700, and empty
    try:
        with _host(place) as host:
            made = _told(host, place)
            yield (
                made["address"],
                Security(
                    require_encryption=True,
                    tls_ca_file=made["certificate"],
                    tls_client_cert=made["certificate"],
                    tls_client_key=made["key"],
                ),
            )
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _host(place: Path) -> Iterator[subprocess.Popen[str]]:
    """`cluster_host` in a session of its own, which is gone in the end."""
    with (place / "log").open("w") as log:
        host = subprocess.Popen(
            [
                *(sys.executable, "-m", "sfx.toolchain.app.cluster.host"),
                *(str(os.cpu_count() or 1), str(place)),
            ],
            cwd=place,
            env={**worker_environment(), "TMPDIR": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield host
    finally:
        if host.stdin is not None:
            host.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            host.wait(END_S)
        with suppress(ProcessLookupError):
            os.killpg(host.pid, signal.SIGKILL)
        host.wait()
        if host.stdout is not None:
            host.stdout.close()


def _told(host: subprocess.Popen[str], place: Path) -> dict[str, Any]:
    """What the host says of its cluster once it is there."""
    late = threading.Timer(START_S, host.kill)
    late.start()
    try:
        line = host.stdout.readline() if host.stdout is not None else ""
    finally:
        late.cancel()
    if not line:
        said = (place / "log").read_text(errors="replace").splitlines()[-3:]
        raise BackendError(
            "SFX-E661",
            f"Dask's workers did not start on this machine: {' '.join(said)}",
            hint="leave --engine, or start a scheduler and give its --scheduler ADDRESS",
        )
    made: dict[str, Any] = json.loads(line)
    return made

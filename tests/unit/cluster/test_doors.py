"""Who gets into a cluster: nobody but its starter, and from the working folder nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.data import Data
from sfx.toolchain.ground.errors import BackendError, InputError, MissingPartError
from sfx.toolchain.ground.folder import ROOT
from tests.strategies import random_events, random_program

distributed = pytest.importorskip("distributed")
from distributed.comm import connect  # noqa: E402
from distributed.security import Security  # noqa: E402

from sfx.toolchain.app.cluster import pool as cluster  # noqa: E402  # they need the module above
from sfx.toolchain.app.cluster import start as cluster_start  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask's own shutdown
STOLEN = "multiprocessing secrets runpy dask distributed numpy yaml tornado sitecustomize sfx"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[distributed.Client]:
    """The cluster of this machine, started in a folder where every file leaves a mark."""
    pytest.importorskip("cryptography")
    hostile = tmp_path_factory.mktemp("hostile")
    for name in STOLEN.split():
        (hostile / f"{name}.py").write_text(f"open({str(hostile / 'mark')!r}, 'a').write(__name__)")
    (hostile / ".numba_config.yaml").write_text("cache_locator_classes: evil.Locator\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(hostile)
        patch.setattr(os, "cpu_count", lambda: 2)
        with cluster_start.client_of(None) as client:
            client.wait_for_workers(2, timeout=100)
            yield client


def addresses(client: distributed.Client) -> list[str]:
    return [client.scheduler.address, *client.scheduler_info()["workers"]]


def knock(address: str, **connection: object) -> None:
    """Connect as Dask does. Raises OSError if not let in."""

    async def once() -> None:
        comm = await connect(address, timeout=4, **connection)
        try:
            await comm.write({"op": "identity", "reply": True})
            await asyncio.wait_for(comm.read(), 4)
        finally:
            comm.abort()

    asyncio.run(once())


def test_the_folder_one_works_in_runs_nothing(own: distributed.Client) -> None:
    program = random_program(3, populations=5)
    x = random_events(program, 5, 3)
    made = own.submit(os.getcwd).result()
    assert Path(made).parent != Path.cwd()
    shared = own.submit(cluster._run_part, program, ReferenceBackend, x)
    assert np.array_equal(shared.result().sums, ReferenceBackend().run(program, x).sums)
    paths = own.run(lambda: __import__("sys").path)
    assert all(str(Path.cwd()) not in path and "" not in path for path in paths.values())
    assert not (Path.cwd() / "mark").exists(), (Path.cwd() / "mark").read_text()


def test_only_its_own_key_opens_it(own: distributed.Client) -> None:
    right = own.security.get_connection_args("client")
    other = Security.temporary().get_connection_args("client")
    assert len(addresses(own)) == 3
    for address in addresses(own):
        assert address.startswith("tls://127.0.0.1:")
        knock(address, **right)
        for wrong in (other, {"require_encryption": True}):
            with pytest.raises((OSError, TypeError, RuntimeError)):
                knock(address, **wrong)
        with pytest.raises((OSError, TypeError, RuntimeError, TimeoutError, asyncio.TimeoutError)):
            knock(address.replace("tls://", "tcp://"))


def test_there_is_no_dashboard(own: distributed.Client) -> None:
    """What listens: only here; what speaks HTTP has not one page."""
    ours = psutil.Process().children(recursive=True)
    ports = [
        c.laddr
        for p in ours
        for c in p.net_connections(kind="inet")
        if c.status == psutil.CONN_LISTEN
    ]
    assert len(ports) >= 3
    assert {p.ip for p in ports} == {"127.0.0.1"}
    for port in ports:
        for page in ("", "status", "info/main/workers.html", "metrics", "health"):
            with pytest.raises((urllib.error.URLError, OSError, TimeoutError)) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{port.port}/{page}", timeout=5)
            assert getattr(refused.value, "code", 404) == 404


def test_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setattr(cluster_start.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    program = random_program(3, populations=5)
    x = random_events(program, 3, 3)
    got = api.run(program, Data(x, None), engine="dask", backend_name="reference")
    assert np.array_equal(got.sums, ReferenceBackend().run(program, x).sums)
    time.sleep(0.2)
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal
from sfx.toolchain.app.cluster.start import client_of
os.cpu_count = lambda: 1
with client_of(None):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_starter_that_was_killed(tmp_path: Path) -> None:
    """The folder that it made is removed by the cluster, which notices that it is alone."""
    pytest.importorskip("cryptography")
    environment = {**os.environ, "PYTHONPATH": ROOT, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=120)
    assert done.returncode == -signal.SIGKILL
    end = time.monotonic() + 60
    while any(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


def test_without_what_makes_keys_there_is_no_open_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    real = cluster_start.find_spec
    monkeypatch.setattr(
        cluster_start, "find_spec", lambda name: None if name == "cryptography" else real(name)
    )
    with pytest.raises(MissingPartError, match="SFX-E650 not installed: cryptography"):
        cluster_start.client_of(None).__enter__()


def test_a_host_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setattr(cluster_start.sys, "executable", "false")
    with pytest.raises(BackendError, match="SFX-E661"), cluster_start.client_of(None):
        pass


def files(security: Security, folder: Path) -> cluster_start.Tls:
    """Its keys as files."""
    texts = (security.tls_ca_file, security.tls_client_cert, security.tls_client_key)
    paths = [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return cluster_start.Tls(*paths)


def test_a_scheduler_of_one_s_own_with_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setattr(cluster_start, "CONNECT_S", 3.0)
    security = Security.temporary()
    tls = files(security, tmp_path)
    program = random_program(3, populations=5)
    x = random_events(program, 3, 3)
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tls://", security=security, dashboard_address=None
    ) as made:
        address = made.scheduler_address
        got = api.run(
            program, Data(x, None), engine="dask", backend_name="reference", scheduler=address,
            tls=(tls.ca, tls.cert, tls.key),
        )  # fmt: skip
        assert np.array_equal(got.sums, ReferenceBackend().run(program, x).sums)
        (tmp_path / "other").mkdir()
        for wrong in (None, files(Security.temporary(), tmp_path / "other")):
            with pytest.raises(BackendError, match="SFX-E651"):
                cluster.run(program, x, ReferenceBackend, scheduler=address, tls=wrong)


def test_tls_files_that_cannot_be_meant(tmp_path: Path) -> None:
    there = tmp_path / "there.pem"
    there.touch()
    assert cluster_start.tls_of(None, None, None) is None
    with pytest.raises(InputError, match=r"SFX-E663.*--tls-cert .*no.pem, --tls-key is missing"):
        cluster_start.tls_of(there, tmp_path / "no.pem", None)
    tls = cluster_start.tls_of(there, there, there)
    with pytest.raises(InputError, match="SFX-E663 tcp://"):
        cluster_start.client_of("tcp://127.0.0.1:9", tls).__enter__()
    program = random_program(3, populations=5)
    data = Data(random_events(program, 1, 3), None)
    with pytest.raises(InputError, match="SFX-E663"):
        api.run(program, data, engine="dask", tls=(there, there, there))
    with pytest.raises(InputError, match="SFX-E631"):
        api.run(program, data, tls=(there, None, None))

"""`python -m sfx.toolchain.app.cluster.host WORKERS FOLDER`: a Dask cluster for its starter alone.

Dask runs what it receives, so whoever reaches a port of it is the user. Here every connection is
TLS in both directions, with a key made for this run, that is handed to the starter through a pipe
and lies in no file. A process of its own, started in an empty folder, because the workers are
started by it: Python 3.10 would have them import from the working folder. It ends when its input
does: the starter closed it, or is gone. It then removes FOLDER, which the starter made for it: one
that was killed cannot.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress

from ...ground.folder import shut_out

QUIET: dict[str, list[str]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
"""No dashboard, and the server that Dask starts for it even so has no page."""


def main(workers: int) -> None:
    """Start the cluster, write its address and key to stdout as one line, and wait for the end."""
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    shut_out()
    security = Security.temporary()
    with (
        dask.config.set(QUIET),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls://",
            security=security,
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            local_directory=os.getcwd(),
            silence_logs=50,
        ) as cluster,
    ):
        made = {
            "address": cluster.scheduler_address,
            "certificate": security.tls_client_cert,
            "key": security.tls_client_key,
        }
        with suppress(BrokenPipeError):  # the starter has gone, so there is nothing to read either
            print(json.dumps(made), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
    shutil.rmtree(sys.argv[2], ignore_errors=True)

"""Samples of one run spread over Dask workers, with a local cluster that lets no other user in."""

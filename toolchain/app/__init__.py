"""What people touch: the Python API, the command line, the cluster, `doctor` and `explain`."""

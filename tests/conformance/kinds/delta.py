"""Delta encodes the input: its cases are whole Programs, in `test_sigma_delta`."""

CASES = ()

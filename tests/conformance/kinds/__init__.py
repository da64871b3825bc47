"""One file for each neuron program or kind of connection that Intel's processes do not have.

What they do have is in `tests/conformance/cases`, with their answers. A file here holds `CASES`.
"""

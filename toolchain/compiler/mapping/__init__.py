"""Mapping: a Program's populations into core-sized blocks, and those onto cores."""

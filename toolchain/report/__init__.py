"""Pages, tables and pictures of what was compiled, run and verified."""

"""Which layers lose what by which bits."""

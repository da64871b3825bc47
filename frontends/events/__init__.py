"""Readers of the field's event recordings, and the binning that turns them into model input."""

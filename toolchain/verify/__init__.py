"""Equality of two backends, counted; and one neuron that is run again from a file."""

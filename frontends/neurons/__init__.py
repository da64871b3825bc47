"""Spiking neurons: our own multi-step modules, and one reader per neuron library."""

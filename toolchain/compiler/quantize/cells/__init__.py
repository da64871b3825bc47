"""Neurons of several populations: a synaptic current, a subtracting reset, an accumulator."""

"""Weights, thresholds and decays of one population: real numbers to integers."""

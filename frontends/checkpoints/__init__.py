"""Checkpoints and what builds the network that they belong to."""

"""Real weights, thresholds and decays to integers, one population after the other."""

"""From a float Graph to a placed integer Program: passes, quantization, mapping, cost."""

"""What one quantization knows so far: projections, the values sent, the spikes that match."""

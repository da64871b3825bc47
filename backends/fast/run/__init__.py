"""What happens to samples: layer by layer, many lanes side by side."""

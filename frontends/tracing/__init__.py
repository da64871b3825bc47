"""How a traced PyTorch graph becomes NIR: time-axis tracking and one rule per ATen op."""

"""The first witness: the user's own torch model, run beside the graph that was made of it."""

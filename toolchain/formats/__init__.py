"""Files of models, read and written; what a stranger wrote is checked here and runs no code."""

"""The two forms of a model: the float `Graph` and the integer `Program`, with their laws."""

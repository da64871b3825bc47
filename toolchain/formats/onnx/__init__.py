"""ONNX: Graphs to models and back, neurons as operators of our own domain."""

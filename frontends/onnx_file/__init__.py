"""ONNX files as models: standard operators with the time steps as the batch axis, and `ai.sfx`."""

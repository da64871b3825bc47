"""Quantization-aware training: torch modules that compute integer Programs (`sfx.qat`).

Torch is imported by the files that need it, never by this package.
"""

"""Training of spiking networks: a loop that resumes exactly, and its parts, each usable alone.

Torch is imported by the files that need it, never by this package.
"""

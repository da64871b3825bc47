"""sfx: from a trained spiking transformer to Loihi 2, right to the bit."""

__version__ = "0.1.0"

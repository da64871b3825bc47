"""The pictures: spike raster, chip map, energy bars, what rounding cost.

Each returns a matplotlib figure and, given a path, writes it (.svg or .png). Equal data give equal
files, byte for byte.
"""

from .chip_map import chip_map
from .energy_bars import energy_bars
from .figure import save, svg
from .raster import MOST_ROWS, Spikes, raster
from .rounding import quantization

__all__ = [
    "MOST_ROWS",
    "Spikes",
    "chip_map",
    "energy_bars",
    "quantization",
    "raster",
    "save",
    "svg",
]

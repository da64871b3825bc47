"""ImageNet-style folders: one folder per class, PNG and JPEG files; pixels 0..255 are the input.

Resized so that the shorter side fits, then the middle cut out (as torchvision's Resize and
CenterCrop). The chip takes 8-bit inputs, so a model's own normalisation, (x / 255 - mean) / std,
belongs in its first layer; docs/data.md shows how to fold it.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ...toolchain.ground.errors import InputError
from .options import no_split
from .source import Image, Source, held_out, of_files

SUFFIXES = (".png", ".jpg", ".jpeg")
SIZE = (224, 224)
MARGIN = 256 / 224
"""ImageNet's habit: the shorter side becomes 256 where 224 are kept."""


def images(
    root: Path, split: str | None, every: int, size: tuple[int, int] | None, gray: bool
) -> Source:
    """`train/n01440764/*.JPEG`, `val/...` (`--split test`); or one folder of classes.

    size  (H, W) of every image; by default 224x224
    gray  one channel (ITU-R 601 luma) instead of red, green, blue
    """
    wanted = size or SIZE
    named = {"train": ("train",), "test": ("val", "test")}
    inner = [root / n for names in named.values() for n in names if (root / n).is_dir()]
    if not inner:
        source = of_files(root, SUFFIXES, None, lambda file: read_image(file, wanted, gray))
        return held_out(source, split, every)
    if split not in named:
        raise no_split(split)
    chosen = [folder for folder in inner if folder.name in named[split]]
    if not chosen:
        expected = " or ".join(named[split])
        raise InputError("SFX-E135", f"has no folder {expected}", where=str(root))
    return of_files(chosen[0], SUFFIXES, None, lambda file: read_image(file, wanted, gray))


def read_image(file: Path, size: tuple[int, int], gray: bool) -> Image:
    """One PNG or JPEG as uint8 [C, H, W]. Raises `InputError` SFX-E136."""
    from PIL import Image as pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(file, formats=("PNG", "JPEG")) as picture:
                pixels = np.asarray(_sized(picture.convert("L" if gray else "RGB"), size))
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise InputError(
            "SFX-E136",
            f"is not a readable image: {error}",
            where=str(file),
            hint="expected a complete PNG or JPEG file",
        ) from error
    return pixels[None] if gray else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _sized(picture: object, size: tuple[int, int]) -> object:
    """Shorter side to size * 256/224, then the middle."""
    from PIL import Image as pillow

    assert isinstance(picture, pillow.Image)
    height, width = size
    scale = max(height / picture.height, width / picture.width) * MARGIN
    whole = (max(width, round(picture.width * scale)), max(height, round(picture.height * scale)))
    left, top = (whole[0] - width) // 2, (whole[1] - height) // 2
    box = (left, top, left + width, top + height)
    return picture.resize(whole, pillow.Resampling.BILINEAR).crop(box)

"""The field's data sets for training in torch. Importing this module imports no torch.

    from sfx.data import EventDataset, time_first
    train = EventDataset("dvs-gesture", "DvsGesture", split="train", steps=16, size=(64, 64))
    loader = torch.utils.data.DataLoader(train, 16, shuffle=True, collate_fn=time_first)
    for x, y in loader: ...                       # x [T, B, C, H, W], y [B]

`FileDataset` does the same for a DATA file that `sfx data convert` wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfx.frontends.datasets.torch_dataset import EventDataset, time_first
    from sfx.toolchain.data.torch_dataset import FileDataset

__all__ = ["EventDataset", "FileDataset", "time_first"]


def __getattr__(name: str) -> Any:
    """The classes are loaded on first use, and torch with them."""
    if name == "FileDataset":
        from sfx.toolchain.data import torch_dataset

        return torch_dataset.FileDataset
    if name in __all__:
        from sfx.frontends.datasets import torch_dataset as readers

        return getattr(readers, name)
    raise AttributeError(f"module 'sfx.data' has no attribute '{name}'")

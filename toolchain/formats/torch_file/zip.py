"""The zip archive that `torch.save` writes, read without torch's unpickler.

An archive holds one pickle (`<root>/data.pkl`) and one raw file per storage (`<root>/data/<key>`).
torch.save never compresses, so a compressed entry is refused and the file's own size bounds all
memory. Each storage is copied once; tensors are views of it, checked to lie inside it and not to
overlap themselves.
"""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from . import beside, safe_pickle

STORAGES: dict[str, torch.dtype] = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
MAX_ENTRIES = 200_000
MAX_AXES = 16


@dataclass(frozen=True)
class Storage:
    """One raw file of the archive as a 1-D tensor."""

    key: str
    values: Tensor


def read_archive(path: Path) -> Any:
    """The object that torch.save wrote to `path`, tensors on the CPU.

    Raises InputError: SFX-E110 no sound archive, SFX-E111 something in it is not allowed,
    SFX-E112 malformed, SFX-E113 too large, SFX-E114 a tensor that does not fit its storage.
    """
    where = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, path.stat().st_size, where).load()
    except InputError:
        raise
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        # zipfile's exceptions for damaged, encrypted and truncated files
        raise InputError(
            "SFX-E110", f"is not a sound torch.save archive ({error})", where=where
        ) from error


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, size: int, where: str) -> None:
        self.archive, self.where = archive, where
        self.entries: dict[str, zipfile.ZipInfo] = {}
        self.storages: dict[str, Storage] = {}
        self.encoded_bytes = 0
        infos = archive.infolist()
        if len(infos) > MAX_ENTRIES:
            raise self.error("SFX-E113", f"holds {len(infos)} entries, limit {MAX_ENTRIES}")
        if any(info.filename.endswith("/constants.pkl") for info in infos):
            raise self.error(
                "SFX-E110",
                "is a TorchScript program, not a checkpoint",
                "save the state_dict of the original model",
            )
        for info in infos:
            if info.filename in self.entries:
                raise self.error("SFX-E110", f"entry {info.filename!a} exists twice")
            if info.compress_type != zipfile.ZIP_STORED:
                raise self.error("SFX-E110", f"entry {info.filename!a} is compressed")
            self.entries[info.filename] = info
        claimed = sum(info.file_size for info in infos)
        if claimed > size:
            raise self.error("SFX-E113", f"its entries claim {claimed} bytes, the file has {size}")

    def error(self, code: str, what: str, hint: str = "") -> InputError:
        return InputError(code, what, where=self.where, hint=hint)

    def load(self) -> Any:
        pickles = [n for n in self.entries if n.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].count("/") != 1:
            raise self.error(
                "SFX-E110",
                "is a zip file, but not one that torch.save wrote",
                "save the checkpoint with torch.save",
            )
        self.root = pickles[0].rpartition("/")[0]
        order = self.entries.get(f"{self.root}/byteorder")
        if order is not None and self.read(order) != b"little":
            raise self.error("SFX-E110", "was saved on a big-endian machine")
        return safe_pickle.load(
            self.read(self.entries[pickles[0]]),
            self.known(),
            self.storage,
            self.where,
        )

    def known(self) -> safe_pickle.Known:
        """What torch.save writes, and what scripts keep beside the weights."""
        return safe_pickle.Known(
            {
                **beside.CALLS,
                "collections OrderedDict": self.ordered_dict,
                "torch._utils _rebuild_tensor_v2": self.tensor,
                "torch._utils _rebuild_parameter": self.parameter,
                "torch Size": self.size,
                "_codecs encode": self.encoded,
            },
            beside.NAMES | frozenset(STORAGES),
            beside.VALUES,
        )

    def read(self, info: zipfile.ZipInfo) -> bytes:
        try:
            data = self.archive.read(info)
        except (zipfile.BadZipFile, EOFError, RuntimeError, OSError, ValueError) as error:
            raise self.error("SFX-E110", f"entry {info.filename!a} is damaged ({error})") from error
        if len(data) != info.file_size:
            raise self.error("SFX-E110", f"entry {info.filename!a} is cut off")
        return data

    # --- our own functions for the names in the pickle ---

    def ordered_dict(self, arguments: tuple[Any, ...]) -> OrderedDict[Any, Any]:
        if arguments != ():
            raise safe_pickle.Malformed("an OrderedDict with arguments")
        return OrderedDict()

    def size(self, arguments: tuple[Any, ...]) -> tuple[int, ...]:
        if len(arguments) != 1:
            raise safe_pickle.Malformed("a torch.Size without its axes")
        return _lengths(arguments[0])

    def encoded(self, arguments: tuple[Any, ...]) -> bytes:
        """Bytes as protocol 2 writes them: text and the codec latin1."""
        if len(arguments) != 2 or arguments[1] != "latin1" or not isinstance(arguments[0], str):
            raise safe_pickle.Malformed("bytes in an unknown form")
        self.encoded_bytes += len(arguments[0])  # one text may be encoded over and over
        if self.encoded_bytes > safe_pickle.MAX_BYTES:
            raise self.error("SFX-E113", f"holds more than {safe_pickle.MAX_BYTES} bytes of bytes")
        return arguments[0].encode("latin1")

    def parameter(self, arguments: tuple[Any, ...]) -> Tensor:
        if len(arguments) != 3 or not isinstance(arguments[0], Tensor):
            raise safe_pickle.Malformed("a Parameter without a tensor")
        return arguments[0]

    def storage(self, identity: tuple[Any, ...]) -> Storage:
        """('storage', type, key, device, elements) -> the raw file as a tensor."""
        if len(identity) != 5 or identity[0] != "storage":
            raise safe_pickle.Malformed("a persistent id that is not a storage")
        _, kind, key, _, count = identity
        dtype = STORAGES.get(kind.text) if isinstance(kind, safe_pickle.Name) else None
        if dtype is None or not isinstance(key, str) or type(count) is not int:
            raise safe_pickle.Malformed("a storage without type, key or length")
        known = self.storages.get(key)
        if known is None:
            known = self.storages[key] = Storage(key, self._values(key, dtype))
        if known.values.dtype != dtype or known.values.numel() != count:
            raise self.error(
                "SFX-E114",
                f"storage {key!a} is declared with {count} {dtype}, but holds "
                f"{known.values.numel()} {known.values.dtype}",
            )
        return known

    def _values(self, key: str, dtype: torch.dtype) -> Tensor:
        info = self.entries.get(f"{self.root}/data/{key}")
        if info is None:
            raise self.error("SFX-E114", f"storage {key!a} is missing")
        data = bytearray(self.read(info))
        if len(data) % dtype.itemsize:
            raise self.error(
                "SFX-E114", f"storage {key!a} has {len(data)} bytes, not whole {dtype}"
            )
        if dtype == torch.bool and data and max(data) > 1:
            raise self.error("SFX-E114", f"storage {key!a} contains bytes that are not booleans")
        if not data:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(data, dtype=dtype)

    def tensor(self, arguments: tuple[Any, ...]) -> Tensor:
        """(storage, offset, size, stride, requires_grad, hooks[, metadata]) -> a view."""
        if len(arguments) not in (6, 7) or not isinstance(arguments[0], Storage):
            raise safe_pickle.Malformed("a tensor without a storage")
        storage, offset = arguments[0], arguments[1]
        size, stride = _lengths(arguments[2]), _lengths(arguments[3])
        if type(offset) is not int or offset < 0 or len(size) != len(stride):
            raise self.error(
                "SFX-E114", f"tensor of {storage.key!a}: offset {offset!a}, {size}, {stride}"
            )
        if arguments[5] or (len(arguments) == 7 and arguments[6]):
            raise safe_pickle.Malformed("a tensor with hooks or metadata")
        if 0 not in size:
            last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
            if last >= storage.values.numel():
                raise self.error(
                    "SFX-E114",
                    f"tensor {size} of storage {storage.key!a} ends at element {last}, "
                    f"the storage has {storage.values.numel()}",
                )
            if _overlaps(size, stride):
                raise self.error(
                    "SFX-E114",
                    f"tensor {size} of storage {storage.key!a} overlaps itself (strides {stride})",
                    "save tensor.contiguous()",
                )
        elif offset > storage.values.numel() or max(size) > 1 << 40:
            raise self.error("SFX-E114", f"empty tensor {size} at offset {offset}")
        return torch.as_strided(storage.values, size, stride, offset)


def _lengths(values: Any) -> tuple[int, ...]:
    """A tuple of integers >= 0, at most MAX_AXES of them."""
    if (
        not isinstance(values, tuple)
        or len(values) > MAX_AXES
        or not all(type(v) is int and 0 <= v < 1 << 62 for v in values)
    ):
        raise safe_pickle.Malformed("a shape that is not a tuple of integers >= 0")
    return values


def _overlaps(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether two indices may share an element: axes sorted by stride must not interleave."""
    reach = 0
    for step, length in sorted((s, n) for n, s in zip(size, stride, strict=True) if n > 1):
        if step <= reach:
            return True
        reach += (length - 1) * step
    return False

"""The authors' code that the benchmarks run: where it is, and how it is loaded, as it is.

`REPOSITORIES` names the commits and `BLOBS`, for every file that is run, its git blob, so that a
folder of another state is refused.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORIES: Mapping[str, tuple[str, str]] = {
    "spikformer": ("ZK-Zhou/spikformer", "621268981827af47aa666c1b5f774de4281d90ad"),
    "Spikingformer": (
        "zhouchenlin2096/Spikingformer",
        "4378623b82bb1999b137244950ad648566e148fd",
    ),
    "Spike-Driven-Transformer": (
        "BICLab/Spike-Driven-Transformer",
        "3faa82272eb499e4d56ea77707d4536e7c69a54b",
    ),
    "Spike-Driven-Transformer-V2": (
        "BICLab/Spike-Driven-Transformer-V2",
        "35f245f4f79acf1a2b3ef22698c58ab05c1ede33",
    ),
    "Spike-Driven-Transformer-V3": (
        "BICLab/Spike-Driven-Transformer-V3",
        "00fcd1fd5d9c65fe9a26579ed512a20c6a303deb",
    ),
    "STAtten": (
        "Intelligent-Computing-Lab-Yale/STAtten",
        "e9048a18b02cdaf824ac2ad82f2e6f5bfcf50134",
    ),
    "QKFormer": ("zhouchenlin2096/QKFormer", "c2a00e8e54538e76f5954614a60c1d53824bbee9"),
    "MaxFormer": ("bic-L/MaxFormer", "6ddd4ccde2cc9c4b965059403868e57803b9b6b0"),
    "SGLFormer": ("ZhangHanN1/SGLFormer", "4821b133c92d2e3baf1a6e4892bd6475f30b98ff"),
    "SpikingResformer": (
        "xyshi2000/SpikingResformer",
        "3f751275dedfda8b0a4ed0bf50e85e02a4335f3e",
    ),
}
"""Folder of a checkout -> (repository on GitHub, commit)."""

BLOBS: Mapping[str, str] = {
    "spikformer/cifar10/model.py": "c87bc7afbc70f331781b99be58483a813d5b657c",
    "spikformer/cifar10dvs/model.py": "e181891cd103e58c5f842b7e3707e8f6505385cd",
    "spikformer/imagenet/model.py": "4cb9248d4f876b22b274b31e8f11c3866818da2a",
    "Spikingformer/cifar10/model.py": "a79c02ca412d4c5fd992734d4c6e6868801fba95",
    "Spikingformer/cifar100/model.py": "afcf29b8e6a0b0a5a6a5d22ce4cc700058372baf",
    "Spikingformer/cifar10-dvs/model.py": "02af832f5d1726be1b76553cbafa78fd17479bd0",
    "Spikingformer/dvs128-gesture/model.py": "351694f527f804e69ab3bec933b24a16cf076880",
    "Spikingformer/imagenet/model.py": "a1d9f5587dc82afece9ede9a0d6c5d24983a1a1b",
    "Spike-Driven-Transformer/model/spikeformer.py": "4a2ddc5a6400361e4ed2796ae794c42dcfdc0035",
    "Spike-Driven-Transformer/module/ms_conv.py": "6b9e8a4f8a0bc5e0e8b32f9ce86e8a43afc2ba6c",
    "Spike-Driven-Transformer/module/sps.py": "73109bd0aaf9b9dbf1f8796e3ef4441e9482c8fc",
    "Spike-Driven-Transformer-V2/classification/models.py": (
        "a9ef9c290b770fae3327e6a1c4c9399211dd1223"
    ),
    "Spike-Driven-Transformer-V3/SDT_V3/Classification/Model_Base/models.py": (
        "53e17a698fa29012990533f41a5c1263f2a90f3d"
    ),
    "Spike-Driven-Transformer-V3/SDT_V3/Classification/Model_Large/spikformer.py": (
        "908692b47094b75a8ed4844d910e8078da48987b"
    ),
    "Spike-Driven-Transformer-V3/SDT_V3/Classification/Model_Large/util/pos_embed.py": (
        "cc6ed041bc028063e43e36aa68473d0cddbae20c"
    ),
    "STAtten/model/spikeformer.py": "15f5843f86a3e062fa864b3ea7de62b1fbfe2061",
    "STAtten/module/ms_conv.py": "5d767281c90e180fa2da2c5cc3d1f51418f13611",
    "STAtten/module/sps.py": "8585aa930a5bc93e91207b7d971dff8166fedc3a",
    "QKFormer/cifar10/model.py": "9a9af29dfe4a44122174e4cf73f473feb85b0fb8",
    "QKFormer/cifar100/model.py": "17c1e482773cc0f4ca0391116def93f6ca7bce46",
    "QKFormer/cifar10-dvs/model.py": "9f54246d323fdd62733b1142fa6cf8420ca9f57b",
    "QKFormer/dvs128-gesture/model.py": "dce3651f19f562b5fb06f1ce77a2bc91057d3fc8",
    "QKFormer/imagenet/qkformer.py": "7e841644ee3989d1179a2d6d88b66de095710562",
    "MaxFormer/cifar10-100/max_former.py": "be3470ee0475bec24db36058ddbb874c6a142f0a",
    "MaxFormer/cifar10-100/embedding_hub.py": "3fa8daae8015f00f0967cdec6815d5cbe4131f14",
    "MaxFormer/cifar10-100/mixer_hub.py": "df0ca62576edbd5c5b6160ef64bada4f1c23e564",
    "MaxFormer/event/max_former.py": "b1bdb09d02a129542276413a9b217dd6116f53ab",
    "MaxFormer/event/embedding_hub.py": "0cb8d6a2ae738bd3b6d6af34cf6de8b98e5b3dd7",
    "MaxFormer/event/mixer_hub.py": "62d484014567ff873fc05a381d586b5cd89d2253",
    "MaxFormer/imagenet/max_former.py": "a0dadf4524cc976583bc4983aef778995c535f73",
    "MaxFormer/imagenet/embedding_hub.py": "9f827317d3b0722d9dc6d1d1894e39d17370228f",
    "MaxFormer/imagenet/mixer_hub.py": "c1e8f82aae22e0b88e1b9610f85813cd192209eb",
    "SGLFormer/cifar10/sglformer.py": "d20a65e8206489773048e1b6c7d1524378e54ab1",
    "SGLFormer/cifar100/sglformer.py": "d20a65e8206489773048e1b6c7d1524378e54ab1",
    "SGLFormer/cifar10-dvs/sglformer.py": "a30e19468d3fb7ca7f54c639645d6dc5d6eae494",
    "SGLFormer/dvs128-gesture/sglformer.py": "aee31e4affc0640fdc6c684d855a8a285cab999e",
    "SGLFormer/imagenet/sglformer_ima.py": "d5ade149d2481f932f5af2be6a49e58327603f40",
    "SGLFormer/imagenet/sglformer_ima2.py": "c744358084947964d3212523d2f2409a18ce3359",
    "SpikingResformer/models/spikingresformer.py": "06542004b9c0eab4defd28cb6532cb34ea21ac3b",
    "SpikingResformer/models/submodules/layers.py": "05b00f9423eabd47128343106f308884c144b3bb",
}
"""Files that are run -> git blob at the commit above."""


def check_files(folder: Path, repository: str) -> None:
    """Raises SystemExit unless the files of a checkout that are run are those of the commit."""
    for name, blob in BLOBS.items():
        if name.split("/")[0] != repository:
            continue
        content = (folder / name).read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        if found != blob:
            raise SystemExit(f"{name} is not that of commit {REPOSITORIES[repository][1]}")


def load(folder: Path, file: str) -> ModuleType:
    """The module of one of the authors' files, which may import what lies beside it.

    folder, file  of all checkouts; of the module, from there
    """
    repository = file.split("/")[0]
    check_files(folder, repository)
    home, path = folder / repository, folder / file
    with importable(home), importable(path.parent):
        if (path.parent / "__init__.py").exists():  # a package, whose files import relatively
            parts = path.relative_to(home).with_suffix("").parts
            return importlib.import_module(".".join(parts))
        spec = importlib.util.spec_from_file_location(path.stem + "_authors", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # timm's registry looks there
        spec.loader.exec_module(module)
    return module


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """The checkout's own packages can be imported, and are forgotten afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]


NEURONS = {
    "clock_driven": ("MultiStepLIFNode", "MultiStepParametricLIFNode"),
    "activation_based": ("IFNode", "LIFNode", "ParametricLIFNode"),
}
"""Package of SpikingJelly, which an installed version may lack -> its neurons with backends."""


def on_cpu() -> None:
    """SpikingJelly's neurons with the backend that a CPU has, whatever the code asks for."""
    for package, names in NEURONS.items():
        if importlib.util.find_spec(f"spikingjelly.{package}") is None:
            continue
        neuron = importlib.import_module(f"spikingjelly.{package}.neuron")
        for kind in (getattr(neuron, name) for name in names):

            def build(self: Any, *a: Any, _plain: Any = kind.__init__, **k: Any) -> None:
                _plain(self, *a, **(k | {"backend": "torch"}))

            kind.__init__ = build

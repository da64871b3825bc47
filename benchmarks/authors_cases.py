"""Which of the authors' networks are compared with ours, at which published configuration.

`REPOSITORIES` names the commits and, for every file that is run, its git blob, so that a folder of
another state is refused. Nothing of their code is here: facts about it only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
}
"""Files that are run -> git blob at the commit above."""


@dataclass(frozen=True)
class Case:
    """One published configuration in the authors' code and in ours.

    file       of the model, from the folder of all checkouts
    build      name in that file: a class or function
    arguments  of `build`, as the published training script passes them
    settings   the yml of the configuration; its values go where `build` takes them (see `SDT`)
    model      name of the zoo, and `preset` one of its published sizes
    events     whether samples are event frames [B, T, C, H, W]; else images [B, C, H, W]
    tokens     whether the code holds tokens as [T, B, N, C] where we hold [T, B, C, N]
    steps      T set on the built network as its attribute `T`, where `build` does not take it
    coupled    patterns of neurons that the code runs over T * B steps, samples one after another:
               compared as written at B = 1, and at B = 2 with every sample by itself
    woken      samples whose statistics the small network's batch norms get; a norm behind the mean
               over tokens and steps needs two
    tiny       changes of (arguments, config) for a network small enough for the golden file; None
               where another case has the same code and differs in sizes only
    """

    title: str
    file: str
    build: str
    model: str
    preset: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: str = ""
    events: bool = False
    tokens: bool = False
    steps: int = 0
    coupled: str = ""
    woken: int = 1
    tiny: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None

    @property
    def repository(self) -> str:
        """Folder of the checkout."""
        return self.file.split("/")[0]


def _spikformer() -> Iterator[Case]:
    small = {"embed_dims": 32, "num_heads": 2, "depths": 1}
    ours = {"dim": 32, "heads": 2, "depth": 1}
    for title, preset, dim, heads, depth, classes in (
        ("CIFAR10 4-384 (cifar10.yml)", "cifar10_4_384", 384, 12, 4, 10),
        ("CIFAR10 4-256", "cifar10_4_256", 256, 8, 4, 10),
        ("CIFAR10 2-384", "cifar10_2_384", 384, 12, 2, 10),
        ("CIFAR100 4-384", "cifar100_4_384", 384, 12, 4, 100),
    ):
        yield Case(
            f"Spikformer {title}",
            "spikformer/cifar10/model.py",
            "spikformer",
            "spikformer",
            preset,
            _sizes(32, 4, dim, heads, depth, classes) | {"T": 4},
            tokens=True,
            tiny=(small, ours) if preset == "cifar10_4_384" else None,
        )
    yield Case(
        "Spikformer CIFAR10-DVS 2-256",
        "spikformer/cifar10dvs/model.py",
        "spikformer",
        "spikformer",
        "cifar10dvs_2_256",
        events=True,
        tiny=(
            _sizes(128, 16, 32, 2, 1, 10) | {"in_channels": 2},
            ours | {"timesteps": 3},
        ),
    )
    for dim, heads in ((512, 8), (384, 6), (768, 12)):
        yield Case(
            f"Spikformer ImageNet 8-{dim}",
            "spikformer/imagenet/model.py",
            "spikformer" if dim == 512 else "Spikformer",
            "spikformer",
            f"imagenet_8_{dim}",
            {} if dim == 512 else _sizes(224, 16, dim, heads, 8, 1000),
            tiny=(_sizes(64, 16, 32, 2, 1, 10), ours | {"image_size": 64, "num_classes": 10})
            if dim == 384
            else None,
        )


def _spikingformer() -> Iterator[Case]:
    ours = {"dim": 32, "heads": 2, "depth": 1}
    for title, folder, preset, dim, heads, depth, classes in (
        ("CIFAR10 4-384 (cifar10.yml)", "cifar10", "cifar10_4_384", 384, 12, 4, 10),
        ("CIFAR10 4-256", "cifar10", "cifar10_4_256", 256, 8, 4, 10),
        ("CIFAR10 2-384", "cifar10", "cifar10_2_384", 384, 12, 2, 10),
        ("CIFAR100 4-384 (cifar100.yml)", "cifar100", "cifar100_4_384", 384, 8, 4, 100),
    ):
        yield Case(
            f"Spikingformer {title}",
            f"Spikingformer/{folder}/model.py",
            "Spikingformer",
            "spikingformer",
            preset,
            _sizes(32, 4, dim, heads, depth, classes),
            tiny=(_sizes(32, 4, 32, 2, 1, classes), ours) if "yml" in title else None,
        )
    for title, folder, preset, classes in (
        ("CIFAR10-DVS 2-256", "cifar10-dvs", "cifar10dvs_2_256", 10),
        ("DVS128 Gesture 2-256", "dvs128-gesture", "gesture_2_256", 11),
    ):
        yield Case(
            f"Spikingformer {title}",
            f"Spikingformer/{folder}/model.py",
            "Spikingformer",
            "spikingformer",
            preset,
            events=True,
            tiny=(
                _sizes(128, 16, 32, 2, 1, classes) | {"in_channels": 2},
                ours | {"timesteps": 3},
            ),
        )
    for dim in (768, 512, 384):
        yield Case(
            f"Spikingformer ImageNet 8-{dim}" + (" (imagenet.yml)" if dim == 768 else ""),
            "Spikingformer/imagenet/model.py",
            "Spikingformer",
            "spikingformer",
            f"imagenet_8_{dim}",
            _sizes(224, 16, dim, 8, 8, 1000) | {"T": 4},
            tiny=(_sizes(64, 16, 32, 2, 1, 10), ours | {"image_size": 64, "num_classes": 10})
            if dim == 768
            else None,
        )


def _spike_driven() -> Iterator[Case]:
    small = {"embed_dims": 32, "num_heads": 2, "depths": 1}
    ours = {"dim": 32, "heads": 2, "depth": 1}
    tiny: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "cifar10/2_512_300E_t4_TET": (small, ours),
        # fc1 is added to the stream where the MLP does not widen
        "cifar100/2_512_300E_t4": (small | {"mlp_ratios": 1}, ours | {"mlp_ratio": 1.0}),
        "gesture/2_256_200E_t10": (small, ours | {"timesteps": 3, "image_size": 32}),
        "cifar10-dvs/2_256_200E_t10_TET": (small, ours | {"timesteps": 3, "image_size": 32}),
        "imagenet/8_512_300E_t4": (
            small | {"num_classes": 10},
            ours | {"image_size": 64, "num_classes": 10},
        ),
    }
    for settings, preset in (
        ("cifar10/2_256_300E_t4", "cifar10_2_256"),
        ("cifar10/2_512_300E_t4", "cifar10_2_512"),
        ("cifar10/2_512_300E_t4_TET", "cifar10_2_512_tet"),
        ("cifar100/2_256_300E_t4", "cifar100_2_256"),
        ("cifar100/2_512_300E_t4", "cifar100_2_512"),
        ("gesture/2_256_200E_t10", "gesture_2_256_t10"),
        ("gesture/2_256_200E_t16", "gesture_2_256"),
        ("cifar10-dvs/2_256_200E_t10_TET", "cifar10dvs_2_256"),
        ("imagenet/6_512_300E_t4", "imagenet_6_512"),
        ("imagenet/8_384_300E_t4", "imagenet_8_384"),
        ("imagenet/8_512_300E_t4", "imagenet_8_512"),
        ("imagenet/10_384_300E_t4", "imagenet_10_512"),
        ("imagenet/8_768_300E_t4", "imagenet_8_768"),
    ):
        yield Case(
            f"Spike-driven Transformer {settings}.yml",
            "Spike-Driven-Transformer/model/spikeformer.py",
            "sdt",
            "spike_driven",
            preset,
            settings=f"Spike-Driven-Transformer/conf/{settings}.yml",
            events=settings.startswith(("gesture", "cifar10-dvs")),
            tiny=tiny.get(settings),
        )


def _statten() -> Iterator[Case]:
    small = {"embed_dims": 32, "num_heads": 2, "depths": 1}
    ours = {"dim": 32, "heads": 2, "depth": 1}
    tiny: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "cifar10/2_512_200E_t4": (small, ours),
        "cifar10-dvs/2_256_200E_t10_TET": (
            small | {"chunk_size": 3},
            ours | {"timesteps": 6, "chunk": 3, "image_size": 32},
        ),
        "imagenet/8_512_200E_t4": (
            small | {"num_classes": 10},
            ours | {"image_size": 96, "num_classes": 10},
        ),
    }
    for settings, preset in (
        ("cifar10/2_256_200E_t4", "cifar10_2_256"),
        ("cifar10/2_512_200E_t4", "cifar10_2_512"),
        ("cifar100/2_256_200E_t4", "cifar100_2_256"),
        ("cifar100/2_512_200E_t4", "cifar100_2_512"),
        ("cifar10-dvs/2_256_200E_t10_TET", "cifar10dvs_2_256_t10"),
        ("cifar10-dvs/2_256_200E_t16_TET", "cifar10dvs_2_256"),
        ("ncaltech101/2_256_200E_t10", "ncaltech101_2_256_t10"),
        ("ncaltech101/2_256_200E_t16", "ncaltech101_2_256"),
        ("imagenet/8_512_200E_t4", "imagenet_8_512"),
        ("imagenet/8_768_200E_t4", "imagenet_8_768"),
    ):
        yield Case(
            f"STAtten {settings}.yml",
            "STAtten/model/spikeformer.py",
            "sdt",
            "statten",
            preset,
            settings=f"STAtten/conf/{settings}.yml",
            events=settings.startswith(("ncaltech101", "cifar10-dvs")),
            tiny=tiny.get(settings),
        )


def _spike_driven_v2() -> Iterator[Case]:
    for dim in (384, 512, 768):
        for kd in (False, True):
            yield Case(
                f"Spike-driven V2 ImageNet 8-{dim}" + (", distilled" if kd else ""),
                "Spike-Driven-Transformer-V2/classification/models.py",
                f"metaspikformer_8_{dim}",
                "spike_driven_v2",
                f"imagenet_8_{dim}" + ("_kd" if kd else ""),
                {"kd": kd},
                steps=4,
                tiny=(
                    {k: v for k, v in _sizes(64, 16, 0, 2, 8, 10).items() if k != "embed_dims"}
                    | {"embed_dim": [16, 32, 32, 32]},
                    {"dims": (16, 32, 32, 32), "heads": 2, "image_size": 64, "num_classes": 10},
                )
                if dim == 512
                else None,
            )


def _spike_driven_v3() -> Iterator[Case]:
    small = {k: v for k, v in _sizes(64, 16, 0, 2, 8, 10).items() if k != "embed_dims"}
    dims = [16, 32, 32, 32]
    for letter in "tsml":
        yield Case(
            f"Spike-driven V3 ImageNet {letter}",
            "Spike-Driven-Transformer-V3/SDT_V3/Classification/Model_Base/models.py",
            f"Efficient_Spiking_Transformer_{letter}",
            "spike_driven_v3",
            f"imagenet_{letter}",
            tiny=(
                small | {"embed_dim": dims},
                {"dims": tuple(dims), "heads": 2, "image_size": 64, "num_classes": 10},
            )
            if letter == "s"
            else None,
        )


def _qkformer() -> Iterator[Case]:
    for folder, classes in (("cifar10", 10), ("cifar100", 100)):
        yield Case(
            f"QKFormer {folder.upper()} 4-384 ({folder}.yml)",
            f"QKFormer/{folder}/model.py",
            "QKFormer",
            "qkformer",
            f"{folder}_4_384",
            _sizes(32, 4, 384, 8, 4, classes) | {"T": 4},
            coupled="stage3.*.ssa.proj_lif",
            tiny=(
                {"embed_dims": 32, "depths": 3},
                {"dim": 32, "depths": (1, 1, 1)},
            ),
        )
    for title, folder, preset in (
        ("CIFAR10-DVS 2-256", "cifar10-dvs", "cifar10dvs_2_256"),
        ("DVS128 Gesture 2-256", "dvs128-gesture", "gesture_2_256"),
    ):
        classes, ratio = (10, 1) if "CIFAR" in title else (11, 4)
        yield Case(
            f"QKFormer {title}",
            f"QKFormer/{folder}/model.py",
            "QKFormer",
            "qkformer",
            preset,
            events=True,
            coupled="stage2.*.ssa.proj_lif",
            tiny=(
                _sizes(64, 16, 32, 16, 4, classes) | {"in_channels": 2, "mlp_ratios": ratio},
                {"dim": 32, "image_size": 64, "timesteps": 3},
            ),
        )
    for dim in (384, 512, 768):
        for size in (224, 288, 384) if dim == 768 else (224,):
            yield Case(
                f"QKFormer ImageNet 10-{dim}" + (f" at {size}" if size != 224 else ""),
                "QKFormer/imagenet/qkformer.py",
                f"QKFormer_10_{dim}",
                "qkformer",
                f"imagenet_10_{dim}" + (f"_{size}" if size != 224 else ""),
                {"T": 4},
                coupled="stage3.*.attn.proj_lif",
                tiny=(
                    _sizes(64, 16, 32, 2, 4, 10) | {"T": 4},
                    {
                        "dim": 32,
                        "heads": 2,
                        "depths": (1, 2, 1),
                        "image_size": 64,
                        "num_classes": 10,
                    },
                )
                if dim == 384
                else None,
            )


def _max_former() -> Iterator[Case]:
    small, ours = {"embed_dims": 32, "mlp_ratios": 2}, {"dim": 32, "mlp_ratio": 2.0}
    for classes in (10, 100):
        yield Case(
            f"Max-Former CIFAR{classes} 4-384 (cifar{classes}.yaml)",
            "MaxFormer/cifar10-100/max_former.py",
            "Max_Former",
            "max_former",
            f"cifar{classes}_4_384",
            {"in_channels": 3, "num_classes": classes, "embed_dims": 384, "T": 4},
            tiny=(small, ours | {"image_size": 16}) if classes == 10 else None,
        )
    for title, preset, classes in (
        ("CIFAR10-DVS 2-256 (cifar10dvs.yaml)", "cifar10dvs_2_256", 10),
        ("DVS128 Gesture 2-256 (dvsgesture.yaml)", "gesture_2_256", 11),
    ):
        yield Case(
            f"Max-Former {title}",
            "MaxFormer/event/max_former.py",
            "Max_Former",
            "max_former",
            preset,
            {"num_classes": classes, "embed_dims": 256, "mlp_ratios": 1.0, "T": 16},
            events=True,
            tiny=(
                {"embed_dims": 64},
                {"dim": 64, "image_size": 64, "timesteps": 3},
            )
            if classes == 11
            else None,
        )
    for dim, steps in ((384, 4), (512, 4), (512, 1), (768, 4), (768, 1)):
        yield Case(
            f"Max-Former ImageNet 10-{dim} (10_{dim}_t{steps}.yml)",
            "MaxFormer/imagenet/max_former.py",
            f"maxformer_10_{dim}",
            "max_former",
            f"imagenet_10_{dim}" + ("_t1" if steps == 1 else ""),
            {"T": steps},
            tiny=(
                {"embed_dims": 64, "in_channels": 3, "num_classes": 10, "mlp_ratios": 2, "T": 4},
                {"dim": 64, "heads": 1, "mlp_ratio": 2.0, "num_classes": 10, "image_size": 32},
            )
            if dim == 384
            else None,
        )


def _sglformer() -> Iterator[Case]:
    small, ours = {"embed_dims": 48, "num_heads": 2}, {"dim": 48, "heads": 2}
    for classes in (10, 100):
        yield Case(
            f"SGLFormer CIFAR{classes} 4-384 (cifar{classes}.yml)",
            f"SGLFormer/cifar{classes}/sglformer.py",
            "vit_snn",
            "sglformer",
            f"cifar{classes}_4_384",
            _sizes(32, 4, 384, 16, 1, classes) | {"T": 4},
            woken=2,
            tiny=(small, ours),
        )
    for title, folder, data, classes in (
        ("CIFAR10-DVS", "cifar10-dvs", "cifar10dvs", 10),
        ("DVS128 Gesture", "dvs128-gesture", "gesture", 11),
    ):
        for steps in (16, 10):
            image = {"img_size_h": 64, "img_size_w": 64, "T": 3}
            yield Case(
                f"SGLFormer {title} 3-256, T = {steps}",
                f"SGLFormer/{folder}/sglformer.py",
                "sglformer",
                "sglformer",
                f"{data}_3_256" + ("_t10" if steps == 10 else ""),
                {"T": steps},
                events=True,
                woken=2,
                tiny=(
                    _sizes(64, 16, 48, 2, 1, classes) | {"in_channels": 2} | image,
                    ours | {"image_size": 64, "timesteps": 3},
                )
                if steps == 16
                else None,
            )
    for file in ("sglformer_ima", "sglformer_ima2"):
        for dim in (384, 512, 768):
            yield Case(
                f"SGLFormer ImageNet 8-{dim} ({file}.py)",
                f"SGLFormer/imagenet/{file}.py",
                file,
                "sglformer",
                f"imagenet{'2' * file.endswith('2')}_8_{dim}",
                _sizes(224, 16, dim, dim // 64, 8, 1000) | {"T": 4},
                coupled="blocks.*.attn.proj_lif" + " patch_embed.proj_lif" * file.endswith("2"),
                tiny=(
                    _sizes(64, 16, 48, 2, 3, 10),
                    ours | {"image_size": 64, "num_classes": 10, "depth": 1},
                )
                if dim == 384
                else None,
            )


def _sizes(
    image: int, patch: int, dim: int, heads: int, depth: int, classes: int
) -> dict[str, Any]:
    """The arguments that all five codes share, as their training scripts pass them."""
    return {
        "img_size_h": image,
        "img_size_w": image,
        "patch_size": patch,
        "embed_dims": dim,
        "num_heads": heads,
        "mlp_ratios": 4,
        "in_channels": 3,
        "num_classes": classes,
        "qkv_bias": False,
        "depths": depth,
        "sr_ratios": 1,
    }


_FAMILIES: tuple[Callable[[], Iterator[Case]], ...] = (
    _spikformer,
    _spikingformer,
    _spike_driven,
    _spike_driven_v2,
    _spike_driven_v3,
    _statten,
    _qkformer,
    _max_former,
    _sglformer,
)
CASES: Mapping[str, Case] = {case.title: case for family in _FAMILIES for case in family()}
"""Title -> case."""

CLASSES = (
    "Spikformer",
    "vit_snn",
    "SpikeDrivenTransformer",
    "Spiking_vit_MetaFormer",
    "Spiking_vit_MetaFormer_Spike_SepConv",
    "spiking_transformer",
    "hierarchical_spiking_transformer",
    "Max_Former",
    "sglformer_ima",
    "sglformer_ima2",
)
"""The classes behind the factories, whose every argument can be set: what `tiny` needs."""

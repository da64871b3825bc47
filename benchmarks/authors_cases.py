"""Which of the authors' networks are compared with ours, at which published configuration.

Nothing of their code is here: facts about it only. (Commits and files: `authors_code`.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


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
    """The arguments that most codes share, as their training scripts pass them."""
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

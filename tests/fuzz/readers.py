"""Every reader of files from strangers, each with small sound files to start from."""

from __future__ import annotations

import argparse
import io
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sfx.toolchain.formats.bundle.bundle import Bundle, pack
from sfx.toolchain.ir.program import Program
from tests.fuzz import damage, training
from tests.fuzz.commands import COMMANDS, bundles
from tests.fuzz.data_sets import DATA_SETS, RECORDINGS
from tests.fuzz.draw import Draw

Damage = Callable[[Draw, bytes], bytes]


@dataclass(frozen=True, eq=False)
class Reader:
    """A reader of files called *`suffix`; `read` returns, or raises SfxError.

    seeds   makes the sound files, into a folder
    damage  ways to break one, beside raw bytes
    """

    name: str
    suffix: str
    read: Callable[[Path], object]
    seeds: Callable[[Path], list[bytes]]
    damage: tuple[Damage, ...] = ()


def _plain(draw: Draw, content: bytes) -> bytes:
    return damage.entry_of_zip(draw, content, damage.plain_zip)


def _sealed(draw: Draw, content: bytes) -> bytes:
    return damage.entry_of_zip(draw, content, pack)


def _bundle(draw: Draw, content: bytes) -> bytes:
    """One entry damaged, and the manifest's checksums made right again."""

    def close(entries: dict[str, bytes]) -> bytes:
        import hashlib

        try:
            manifest = json.loads(entries["manifest.json"])
            manifest["sha256"] = {
                k: hashlib.sha256(v).hexdigest()
                for k, v in sorted(entries.items())
                if k != "manifest.json"
            }
            entries["manifest.json"] = json.dumps(manifest).encode()
        except (KeyError, ValueError, TypeError):
            pass  # the manifest itself was damaged
        return pack(entries)

    return damage.entry_of_zip(draw, content, close)


# --- sound files ------------------------------------------------------------------------------


def _checkpoints(folder: Path) -> list[bytes]:
    import torch

    content = {
        "sfx": 1,
        "model": "spikeformer",
        "config": {"depth": 1, "dim": 8},
        "state_dict": {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)},
        "calibration": torch.zeros(1, 2, 2, 3, 3, dtype=torch.uint8),
    }
    torch.save(content, folder / "a.pt")
    torch.save({"w": torch.ones(2, dtype=torch.half).t()}, folder / "b.pt")
    torch.save(
        {
            "args": argparse.Namespace(lr=0.1, out=PurePosixPath("/a")),
            "best": np.float64(0.5),
            "state": defaultdict(dict, {0: {1}}),
            "device": torch.device("cuda", 0),
            "dtype": torch.half,
        },
        folder / "c.pt",
    )
    return [(folder / n).read_bytes() for n in ("a.pt", "b.pt", "c.pt")]


def _safetensors(folder: Path) -> list[bytes]:
    import torch
    from safetensors.torch import save

    head = json.dumps({"sfx": 1, "model": "spikeformer", "config": {"depth": 1}})
    return [save({"w": torch.ones(2, 3)}, {"sfx": head}), save({"w": torch.ones(1)})]


SMALL = {"populations": 2, "max_neurons": 6, "timesteps": 2}
"""Programs that are read in a few milliseconds; four of them have every kind of part."""


def _bundles(folder: Path) -> list[bytes]:
    from sfx.toolchain.compiler.compile import compile_program
    from sfx.toolchain.formats.bundle import bundle as bundles
    from sfx.toolchain.targets import load
    from tests.strategies import random_program

    made = []
    for seed in range(4):
        placed = compile_program(random_program(seed, **SMALL), load("loihi"))
        bundles.write(Bundle(placed, b"", {"target": "loihi2"}), folder / f"{seed}.sfx")
        made.append((folder / f"{seed}.sfx").read_bytes())
    for name, program in (("d", _changes()), ("e", _levels()), ("f", _groups())):
        placed = compile_program(program, load("loihi"))
        bundles.write(Bundle(placed, b"", {}), folder / f"{name}.sfx")
        made.append((folder / f"{name}.sfx").read_bytes())
    return made


def _changes() -> Program:
    """Sigma-delta neurons, which no random Program has."""
    from tests.conformance.test_sigma_delta import net

    return net(0, 3)


def _levels() -> Program:
    """A measured range, neurons of several levels and a membrane that is read out."""
    from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
    from sfx.toolchain.ir import program as p
    from sfx.toolchain.ir.measured import Measured

    axes = (("n", 2),)
    populations = (
        p.Population("in", (2,), p.Input()),
        p.Population("sum", (2,), p.Graded(), -2, 2, measured=Measured(-4, 6, -1, 1, 50)),
        p.Population("level", (2,), p.MultiLevel((1, 2), (-1,)), -1, 2),
        p.Population("held", (1,), p.LI(2047, 2048), -1 << 22, 1 << 22),
        p.Population("out", (1,), p.Graded(), -1 << 22, 1 << 22),
    )
    links = (
        p.Dense(np.array([[4, 2], [-4, 2]])),
        p.Structured(axes, axes),
        p.Dense(np.ones((1, 2), int)),
        p.Dense(np.ones((1, 1), int)),
    )
    joints = tuple(
        p.Projection(f"{a.name}->{b.name}", a.name, b.name, link)
        for a, b, link in zip(populations[:-1], populations[1:], links, strict=True)
    )
    program = p.Program(populations, joints, 2, p.Readout("out", 1.0, (0,)))
    return BalanceDelays(max_delay=8).run(program)


def _groups() -> Program:
    """A clock that ticks at the end of every group of steps."""
    from tests.strategies import random_program

    return random_program(15, populations=1, max_neurons=6, timesteps=4, neurons=("groups",))


def _trained(folder: Path) -> list[bytes]:
    from safetensors.numpy import save

    from sfx.toolchain.ir.codec import encode
    from tests.strategies import random_program

    arrays: list[Any] = []
    program = encode(random_program(1, **SMALL), arrays)
    head = {"sfx": 1, "model": "qat", "program": program, "template": program}
    head |= {"bits": {"a": 8}, "target": "loihi2", "reduce": "mean"}
    tensors = {f"program/{i:05d}": np.array(a, order="C") for i, a in enumerate(arrays)}
    return [save(tensors | {"w": np.ones(2, np.float32)}, {"sfx": json.dumps(head)})]


def _replays(folder: Path) -> list[bytes]:
    from sfx.backends.reference.backend import ReferenceBackend
    from sfx.toolchain.ir import program as p
    from sfx.toolchain.verify import replay
    from sfx.toolchain.verify.compare import Mismatch
    from tests.strategies import random_events, random_program

    drawn = (random_program(seed, **SMALL) for seed in range(40))
    program = next(d for d in drawn if any(isinstance(q.neuron, p.LIF) for q in d))
    x = random_events(program, 2)
    record = ReferenceBackend().stream(program, x)
    lif = next(q for q in program if isinstance(q.neuron, p.LIF))
    m = Mismatch(lif.name, "spikes", 4, None, None, 0, 0, 1)
    found = replay.replay_of(program, program, x, record, m, "reference")
    assert found is not None
    replay.write(found, folder / "a.replay")
    return [(folder / "a.replay").read_bytes()]


def _nirs(folder: Path) -> list[bytes]:
    import nir

    from sfx.toolchain.formats.nir import ext
    from sfx.toolchain.formats.nir.bridge import write

    def file(name: str, node: Any, size: int) -> bytes:
        nodes = {"input": nir.Input(np.array([2])), name: node}
        nodes["output"] = nir.Output(np.array([size]))
        edges = [("input", name), (name, "output")]
        buffer = io.BytesIO()
        write(nir.NIRGraph(nodes, edges, metadata={"timesteps": 2}), buffer)
        return buffer.getvalue()

    one = np.ones(2)
    return [
        file("fc", nir.Affine(np.ones((3, 2)), np.zeros(3)), 3),
        file("lif", nir.LIF(one * 0.02, one, one * 0, one, one * 0), 2),
        file("li", nir.LI(one * 0.02, one, one * 0), 2),
        file("delay", nir.Delay(one * 1e-3), 2),
        file("groups", ext.GroupSum(np.array([2]), 2), 2),
        file("map", ext.TimeMap(np.array([2]), np.eye(2), np.zeros(2)), 2),
    ]


def _nets(folder: Path) -> list[bytes]:
    from tests.unit.netx.files import conv, dense, neuron, write

    cell = neuron(1000, 500, 100)
    kernel = np.arange(4).reshape(1, 1, 2, 2)
    first = [{"type": "input", "shape": np.array([1, 3, 3])}, conv(kernel, (1, 2, 2), cell)]
    flat = {"type": "flatten", "shape": np.array([1, 1, 4])}
    second = dense(np.arange(8).reshape(2, 4), cell, np.array([1, 2]))
    change = {"type": "SDNN", "vThMant": 2, "messageBits": 16, "activation": b"relu"}
    sums = change | {"sigma_output": True}
    changes = [
        {"type": "input", "shape": np.array([1, 3, 3]), "neuron": change},
        conv(kernel, (1, 2, 2), change, np.array([3])),
        flat,
        dense(np.arange(8).reshape(2, 4), sums),
    ]
    own = {"type": "dense_rec", "weight_rec": np.arange(4).reshape(2, 2), "delay": np.array([0, 2])}
    return [
        write(folder / "a.net", [*first, flat, second]).read_bytes(),
        write(folder / "b.net", [second]).read_bytes(),
        write(folder / "c.net", changes).read_bytes(),
        write(folder / "d.net", [second | own, second | {"weight": np.eye(2)}]).read_bytes(),
    ]


def _onnx(folder: Path) -> list[bytes]:
    from sfx.toolchain.formats.onnx.write import to_onnx
    from tests.graphs import live_case

    graph, _ = live_case(False, True, 1)
    return [to_onnx(graph).SerializeToString(deterministic=True)]


def _ledgers(folder: Path) -> list[bytes]:
    from sfx.toolchain.verify.compare import Mismatch, PopulationVerdict
    from sfx.toolchain.verify.ledger import Ledger

    first = Mismatch("p", "spikes", 4, None, None, 0, 0, 1)
    ledger = Ledger(folder / "a.json", "key")
    ledger.add({"p#0": (PopulationVerdict("p", 3, 6, 1, 2, 2), first)})
    return [(folder / "a.json").read_bytes()]


def _data(folder: Path) -> list[bytes]:
    made = []
    for write in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        write(buffer, x=np.ones((2, 3, 2, 4, 4), np.uint8), y=np.array([0, 1]))
        made.append(buffer.getvalue())
    return made


def _targets(folder: Path) -> list[bytes]:
    from sfx.toolchain.targets.load import FOLDER

    small = b'extends = "loihi2"\nname = "mine"\n[limits]\nmax_delay = 3\n'
    return [(FOLDER / "loihi1.toml").read_bytes(), small]


# --- readers ----------------------------------------------------------------------------------


def _read_pt(path: Path) -> object:
    from sfx.frontends.checkpoints.checkpoint import load_checkpoint

    return load_checkpoint(path)


def _read_nir(path: Path) -> object:
    from sfx.toolchain.formats.nir.bridge import to_graph
    from sfx.toolchain.formats.nir.file import read_model

    return to_graph(read_model(path), timesteps=4)


def _read_net(path: Path) -> object:
    from sfx.toolchain.formats.netx.read import read

    return read(path, timesteps=4)


def _read_bundle(path: Path) -> object:
    from sfx.toolchain.formats.bundle import bundle

    return bundle.read(path)


def _read_trained(path: Path) -> object:
    from sfx.toolchain.formats.fine_tuned import read

    return read(path)


def _read_onnx(path: Path) -> object:
    from sfx.toolchain.formats.onnx.read import read
    from sfx.toolchain.ir.check import check_graph

    return check_graph(read(path, timesteps=2))


def _read_ledger(path: Path) -> object:
    from sfx.toolchain.verify.ledger import Ledger

    return Ledger(path, "key")


def _read_replay(path: Path) -> object:
    from sfx.toolchain.verify import replay

    return replay.read(path)


def _read_data(path: Path) -> object:
    from sfx.toolchain import data

    return data.read(path)


def _read_target(path: Path) -> object:
    from sfx.toolchain.targets import load

    return load(path)


def _other_npy(draw: Draw, content: bytes) -> bytes:
    return damage.npy(draw)


def _values(draw: Draw, content: bytes) -> bytes:
    """Bytes behind the header of a .npy file, of which none is left out."""
    broken = damage.raw(draw, content[128:])[: len(content) - 128]
    return content[:128] + broken.ljust(len(content) - 128, b"\0")


RECORDING_DAMAGE: dict[str, tuple[Damage, ...]] = {
    "columns.csv": (damage.lines,),
    "columns.npy": (_other_npy, _values),
    "columns.npz": (_plain,),
    "spikingjelly": (_plain,),
    "heidelberg": (damage.hdf5,),
}
"""What is broken in files that hold others, or lines."""

READERS = (
    Reader("checkpoint", ".pt", _read_pt, _checkpoints, (_plain,)),
    Reader("safetensors", ".safetensors", _read_pt, _safetensors, (damage.safetensors,)),
    Reader("fine-tuned", ".safetensors", _read_trained, _trained, (damage.safetensors,)),
    Reader("bundle", ".sfx", _read_bundle, _bundles, (_bundle, _bundle)),
    Reader("replay", ".replay", _read_replay, _replays, (_sealed, _sealed)),
    Reader("nir", ".nir", _read_nir, _nirs, (damage.hdf5,)),
    Reader("netx", ".net", _read_net, _nets, (damage.hdf5,)),
    Reader("onnx", ".onnx", _read_onnx, _onnx, (damage.onnx_model,)),
    Reader("data", ".npz", _read_data, _data, (_plain,)),
    Reader("target", ".toml", _read_target, _targets, (damage.lines,)),
    Reader("training", ".toml", training.read_config, training.configs, (damage.lines,)),
    Reader("training state", ".pt", training.read_state, training.states, (_plain, _plain)),
    Reader("ledger", ".json", _read_ledger, _ledgers, (damage.json_text,)),
    *(Reader(*entry) for entry in DATA_SETS),
    *(Reader(name, *entry, RECORDING_DAMAGE.get(name, ())) for name, entry in RECORDINGS.items()),
    *(Reader(name, ".sfx", run, bundles, (_bundle, _bundle, _bundle)) for name, run in COMMANDS),
)


def damaged(reader: Reader, seeds: list[bytes], choices: bytes) -> bytes:
    """One of the seeds, broken in one of the reader's ways, as `choices` say."""
    draw = Draw(choices)
    content = draw.pick(seeds)
    return draw.pick((damage.raw, *reader.damage))(draw, content)

"""Checkpoints: what torch.save writes is read to the bit; nothing in a file is ever executed."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402 - after the check for torch

from sfx.frontends.checkpoints.checkpoint import load_checkpoint  # noqa: E402
from sfx.toolchain.formats.torch_file import beside, safe_pickle  # noqa: E402
from sfx.toolchain.formats.torch_file import zip as torch_zip  # noqa: E402
from sfx.toolchain.formats.torch_file.read import read  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402

pytestmark = pytest.mark.needs_torch

EVENTS: list[str] = []
WATCHED = ("pickle.find_class", "os.system", "subprocess.Popen", "exec", "compile", "import")
watching = False


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if watching and event in WATCHED:
        EVENTS.append(f"{event} {args[0]}"[:80])


sys.addaudithook(_watch)


def quietly(path: Path) -> Any:
    """`read(path)`, asserting that the interpreter saw no import, call or process start."""
    global watching
    EVENTS.clear()
    watching = True
    try:
        return read(path)
    finally:
        watching = False
        assert EVENTS == []


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory):
    """Lazy imports of torch, zipfile and codecs happen before anything is watched."""
    for codec in ("ascii", "latin1", "utf8", "raw_unicode_escape", "cp437"):
        codecs.lookup(codec)
    path = tmp_path_factory.mktemp("warm") / "w.pt"
    torch.save(example(), path)
    read(path)
    (path.parent / "bad.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(InputError):
        read(path.parent / "bad.pt")


def example() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 8, generator=generator)
    return {
        "sfx": 1,
        "model": "spikeformer",
        "config": {"dim": 8, "stem": [1, 2], "tau": 2.0, "flag": True, "none": None, "n": -(2**40)},
        "state_dict": OrderedDict(
            weight=base,
            transposed=base.t(),
            part=base[2:5, ::2],
            half=base.half(),
            brain=base.bfloat16(),
            double=base.double(),
            counter=torch.tensor(7),
            empty=torch.empty(0, 3),
            parameter=torch.nn.Parameter(base[0].clone()),
            **{f"i{n}": torch.arange(-3, 3).to(getattr(torch, f"int{n}")) for n in (8, 16, 32, 64)},
            mask=torch.tensor([True, False]),
        ),
        "calibration": torch.randint(0, 3, (4, 5, 2, 3, 3), dtype=torch.uint8, generator=generator),
        "more": {"bytes": b"\x00\xff", "tuple": (1, (2.5, "x")), "size": torch.Size([1, 2])},
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_everything_allowed_is_read_to_the_bit(tmp_path, protocol):
    want = example()
    path = tmp_path / "a.pt"
    torch.save(want, path, pickle_protocol=protocol)
    got = quietly(path)
    assert got["config"] == want["config"]
    assert got["more"] == {"bytes": b"\x00\xff", "tuple": (1, (2.5, "x")), "size": (1, 2)}
    assert list(got["state_dict"]) == list(want["state_dict"])
    for key, tensor in want["state_dict"].items():
        assert got["state_dict"][key].dtype == tensor.dtype
        assert torch.equal(got["state_dict"][key], tensor.detach()), key
    # the same storage stays one storage, and the file is not written through it
    assert got["state_dict"]["weight"].data_ptr() == got["state_dict"]["transposed"].data_ptr()


def test_a_models_own_state_dict(tmp_path):
    """It carries `_metadata` as state of the OrderedDict (opcode BUILD)."""
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(net.state_dict(), tmp_path / "a.pt")
    got = quietly(tmp_path / "a.pt")
    other = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4))
    other.load_state_dict(got)
    for key, tensor in net.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key])


def test_the_checkpoint_form(tmp_path):
    torch.save(example(), tmp_path / "a.pt")
    found = load_checkpoint(tmp_path / "a.pt")
    assert found.model == "spikeformer"
    assert found.config["stem"] == [1, 2]
    assert found.calibration is not None
    assert tuple(found.calibration.shape) == (4, 5, 2, 3, 3)


def test_safetensors(tmp_path):
    want = example()
    tensors = {k: v.detach().contiguous().clone() for k, v in want["state_dict"].items()}
    head = json.dumps({k: want[k] for k in ("sfx", "model", "config")})
    path = tmp_path / "a.safetensors"
    save_file({**tensors, "calibration": want["calibration"]}, path, metadata={"sfx": head})
    found = load_checkpoint(path)
    assert (found.model, found.config) == (want["model"], want["config"])
    assert found.state_dict.keys() == tensors.keys()
    assert all(torch.equal(found.state_dict[k], v) for k, v in tensors.items())
    assert torch.equal(found.calibration, want["calibration"])
    save_file(tensors, path)
    assert read(path).keys() == tensors.keys()
    assert problem(path, load_checkpoint)[0] == "SFX-E115"
    save_file(tensors, path, metadata={"sfx": "[" * 100_000})
    assert problem(path, load_checkpoint)[0] == "SFX-E115"
    path.write_bytes(path.read_bytes()[:200])
    assert problem(path, load_checkpoint)[0] == "SFX-E110"


def problem(path: Path, reader: Any = quietly) -> tuple[str, str]:
    with pytest.raises(InputError) as error:
        reader(path)
    text = str(error.value)
    assert "Traceback" not in text
    return error.value.code, text


# --- malice ---------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of `function` on `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def archive(path: Path, body: bytes, **entries: bytes) -> Path:
    """A torch.save archive around a hand-made pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", body)
        for key, data in entries.items():
            file.writestr(f"archive/data/{key.lstrip('_')}", data)
    return path


def payloads(canary: Path) -> dict[str, bytes]:
    """Pickles that create `canary` when Python's unpickler reads them."""
    code = f"open({str(canary)!r}, 'w').close()"
    command = f"touch {canary}"
    touch = Calls(os.system, command)
    found = {
        f"{name}-{p}": pickle.dumps(value, protocol=p)
        for p in (0, 2, 4)
        for name, value in {
            "os.system": touch,
            "eval": Calls(eval, code),
            "exec": Calls(exec, code),
            "nested": {"config": [{"deep": (1, touch)}]},
            "as an argument": Calls(OrderedDict, [("a", touch)]),
            "open": Calls(open, str(canary), "w"),
            "import and getattr": Calls(getattr, Calls(__import__, "os"), "system"),
            "in a tensor": Calls(
                torch._utils._rebuild_tensor_v2, touch, 0, (1,), (1,), False, None
            ),
            "as a key": {Calls(str, touch): 1},
        }.items()
    }
    text = command.encode()
    found |= {
        "INST": b"(S'" + text + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + text + b"'\no.",
        "NEWOBJ": b"cbuiltins\nobject\n)\x81.",
        "memo": b"\x80\x02cos\nsystem\nq\x00]q\x01h\x00X"
        + struct.pack("<I", len(text))
        + text
        + b"\x85R0h\x01.",
        "BUILD setstate": b"\x80\x02ccollections\nOrderedDict\n)R}X\x0c\x00\x00\x00__setstate__"
        b"cos\nsystem\nsX" + struct.pack("<I", len(text)) + text + b"bb.",
        "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c"
        + bytes([len(text)])
        + text
        + b"\x85R.",
        "extension": b"\x80\x02\x82\x01.",
        "text persistent id": b"Pcos\nsystem\n.",
        "after the end": b"\x80\x02}.cos\nsystem\n(S'" + text + b"'\ntR.",
    }
    return found


NAMES = sorted(payloads(Path("/nowhere")))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_executed(tmp_path, name):
    canary = tmp_path / "canary"
    path = archive(tmp_path / "evil.pt", payloads(canary)[name])
    if name == "after the end":
        assert quietly(path) == {}
    else:
        code, text = problem(path)
        assert code in ("SFX-E111", "SFX-E112"), text
        assert len(text) < 4000
    assert not canary.exists()


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_the_payloads_are_live(tmp_path):
    """The same bytes do harm in Python's own unpickler, so the test above proves something."""
    live = 0
    for i, name in enumerate(NAMES):
        canary = tmp_path / f"canary{i}"
        with contextlib.suppress(Exception):  # some only get as far as the call
            pickle.loads(payloads(canary)[name])
        live += canary.exists()
    assert live >= 20


def test_the_globals_are_named_all_at_once(tmp_path):
    body = pickle.dumps([Calls(os.system, "x"), Calls(eval, "1"), Calls(print, 1)], protocol=2)
    code, text = problem(archive(tmp_path / "a.pt", body))
    assert code == "SFX-E111"
    for name in ("posix.system", "builtins.eval", "builtins.print"):
        assert name.replace("builtins", "__builtin__") in text


def test_a_whole_module_is_refused_by_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    code, text = problem(tmp_path / "a.pt")
    assert code == "SFX-E111"
    assert "torch.nn.modules.linear.Linear" in text
    assert "state_dict" in text
    torch.save({"x": np.ones(1)}, tmp_path / "a.pt")
    assert "numpy" in problem(tmp_path / "a.pt")[1]


BESIDE = {
    "args": (argparse.Namespace(lr=0.1, layers=[1, 2]), {"lr": 0.1, "layers": [1, 2]}),
    "namespace": (types.SimpleNamespace(a=1), {"a": 1}),
    "best": (np.float64(0.625), 0.625),
    "half": (np.float16(0.5), 0.5),
    "epoch": (np.int64(-3), -3),
    "flag": (np.bool_(True), True),
    "device": (torch.device("cuda", 1), "cuda:1"),
    "cpu": (torch.device("cpu"), "cpu"),
    "dtype": (torch.bfloat16, "torch.bfloat16"),
    "path": (PurePosixPath("/runs/a"), "/runs/a"),
    "state": (defaultdict(dict, {0: {"step": 3}}), {0: {"step": 3}}),
    "seen": ({7}, [7]),
}


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_scripts_save_beside_the_weights(tmp_path, protocol):
    """Arguments, scores and devices are plain data; no class of theirs is imported."""
    path = tmp_path / "a.pt"
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    saved = {k: v for k, (v, _) in BESIDE.items()} | {"optimizer": optimizer.state_dict()}
    torch.save(saved, path, pickle_protocol=protocol)
    got = quietly(path)
    for key, (_, want) in BESIDE.items():
        assert got[key] == want, key
        assert type(got[key]) in (dict, safe_pickle.Record, list, str, int, float, bool), key
    moment = got["optimizer"]["state"][0]["exp_avg"]
    assert torch.equal(moment, optimizer.state_dict()["state"][0]["exp_avg"])


def test_a_lightning_checkpoints_hyper_parameters(tmp_path, monkeypatch):
    """A dict of the library's own class, made here: the library is not imported to read it."""
    name = "pytorch_lightning.utilities.parsing"
    module = types.ModuleType(name)
    module.AttributeDict = type("AttributeDict", (dict,), {"__module__": name})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, name, module)
        for parent in ("pytorch_lightning", "pytorch_lightning.utilities"):
            patch.setitem(sys.modules, parent, types.ModuleType(parent))
        torch.save({"hyper_parameters": module.AttributeDict(lr=1)}, tmp_path / "a.ckpt")
    assert quietly(tmp_path / "a.ckpt") == {"hyper_parameters": {"lr": 1}}


@pytest.mark.parametrize(
    "body",
    [
        b"\x80\x02cargparse\nNamespace\nK\x01\x85\x81.",
        b"\x80\x02cargparse\nNamespace\n)\x81K\x01b.",
        b"\x80\x02cargparse\nNamespace\n)\x81}K\x01K\x02sb.",
        b"\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00O8\x89\x88tR.",
        b"\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00f8\x89\x88tR.",
        b"\x80\x02ccollections\ndefaultdict\n]\x85R.",
        b"\x80\x02ctorch\ndevice\n)R.",
        b"\x80\x02cpathlib\nPosixPath\n]\x85R.",
        b"\x80\x02c__builtin__\nset\nK\x01\x85R.",
        b"\x80\x02c__builtin__\ndict\n.",
    ],
)
def test_what_lies_about_being_beside_the_weights(tmp_path, body):
    assert problem(archive(tmp_path / "a.pt", body))[0] == "SFX-E112"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("empty", b""),
        ("no end", b"\x80\x02}"),
        ("nothing on the stack", b"."),
        ("two values", b"\x80\x02}}."),
        ("only a mark", b"\x80\x02(."),
        ("append to a dict", b"\x80\x02}K\x01a."),
        ("set on a list", b"\x80\x02]K\x01K\x02s."),
        ("odd items", b"\x80\x02}(K\x01u."),
        ("a list as key", b"\x80\x02}]K\x01s."),
        ("empty memo", b"\x80\x02h\x07."),
        ("unhashable key", b"\x80\x02}}K\x01s."),
        ("pop past a mark", b"\x80\x02(0."),
        ("no mark", b"\x80\x02K\x01t."),
        ("call of data", b"\x80\x02K\x01)R."),
        ("call without a tuple", b"\x80\x02ccollections\nOrderedDict\n]R."),
        ("a global as value", b"\x80\x02ccollections\nOrderedDict\n."),
        ("a global in a list", b"\x80\x02]ctorch\nFloatStorage\na."),
        ("ordered dict of items", b"\x80\x02ccollections\nOrderedDict\n]\x85R."),
        ("build on a dict", b"\x80\x02}}b."),
        ("large integer", b"\x80\x02\x8a\x09" + b"\x01" * 9 + b"."),
        ("huge integer", b"\x80\x02\x8b\x00\x00\x00\x10."),
        ("long text claimed", b"\x80\x04\x8d" + b"\xff" * 8 + b"."),
        ("negative length", b"\x80\x02X\xff\xff\xff\xff."),
        ("holds itself", b"\x80\x02]q\x00h\x00a."),
        ("holds itself deeper", b"\x80\x02]q\x00]h\x00aa."),
        ("not a storage", b"\x80\x02)Q."),
    ],
)
def test_malformed_pickles(tmp_path, name, body):
    code, text = problem(archive(tmp_path / "a.pt", body))
    assert code in ("SFX-E112", "SFX-E111"), text


def test_containers_that_unfold_without_bound(tmp_path):
    """[[a, a], [a, a]] forty times over: a few bytes, 2^40 items."""
    body = b"\x80\x02]" + b"".join(
        b"q" + bytes([i]) + b"]h" + bytes([i]) + b"ah" + bytes([i]) + b"a" for i in range(40)
    )
    # each step leaves the inner list below; wrap all in a tuple
    body = b"\x80\x02(" + body[2:] + b"t."
    assert problem(archive(tmp_path / "a.pt", body))[0] == "SFX-E113"
    deep = b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b"."
    assert problem(archive(tmp_path / "a.pt", deep))[0] == "SFX-E113"
    large = b"\x80\x02" + b"N0" * (safe_pickle.MAX_BYTES // 2) + b"N."
    assert problem(archive(tmp_path / "a.pt", large))[0] == "SFX-E113"
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
    many = b"\x80\x02(c_codecs\nencode\nq\x01" + text + b"q\x02X\x06\x00\x00\x00latin1\x86q\x03"
    many += b"R" + b"h\x01h\x03R" * 100 + b"l."
    many = many.replace(b"l.", b"t.")
    assert problem(archive(tmp_path / "a.pt", many))[0] == "SFX-E113"


def tensor_pickle(
    kind: str = "FloatStorage", count: int = 6, offset: int = 0, size: Any = (2, 3),
    stride: Any = (3, 1), key: str = "0", hooks: bytes = b"N",
) -> bytes:  # fmt: skip
    def number(value: int) -> bytes:
        return b"\x8a\x08" + struct.pack("<q", value)

    def numbers(values: Any) -> bytes:
        return b"(" + b"".join(number(v) for v in values) + b"t"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    identity = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + identity + number(count) + b"tQ"
        + number(offset) + numbers(size) + numbers(stride) + b"\x89" + hooks + b"tR."
    )  # fmt: skip


def test_hand_made_tensors_are_read(tmp_path):
    data = np.arange(6, dtype=np.float32)
    path = archive(tmp_path / "a.pt", tensor_pickle(), _0=data.tobytes())
    assert torch.equal(quietly(path), torch.arange(6.0).reshape(2, 3))
    path = archive(
        tmp_path / "b.pt", tensor_pickle(size=(2, 2), stride=(1, 3), offset=1), _0=data.tobytes()
    )
    assert quietly(path).tolist() == [[1, 4], [2, 5]]


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 5},
        {"count": 7},
        {"count": -1},
        {"count": 1 << 60},
        {"kind": "DoubleStorage", "count": 6},
        {"offset": 1},
        {"offset": -1},
        {"offset": 1 << 62},
        {"size": (2, 4)},
        {"size": (1 << 61, 1 << 61)},
        {"size": (-2, 3)},
        {"size": (2,)},
        {"size": (1,) * 20, "stride": (1,) * 20},
        {"stride": (0, 1)},
        {"stride": (2, 1)},
        {"stride": (1, 1)},
        {"stride": (-3, 1)},
        {"stride": (0, 0)},
        {"size": (0, 1 << 50), "stride": (1, 1)},
        {"key": "1"},
        {"key": "../data.pkl"},
        {"hooks": b"K\x01"},
        {"hooks": b"]N\x85a"},
    ],
)
def test_tensors_must_fit_their_storage(tmp_path, changes):
    path = archive(tmp_path / "a.pt", tensor_pickle(**changes), _0=bytes(24))
    assert problem(path)[0] in ("SFX-E112", "SFX-E114")


def test_every_overlap_is_found():
    checked = 0
    for size in ((2, 3), (3, 2), (2, 2, 2), (4,), (1, 5)):
        for stride in np.ndindex(*(5,) * len(size)):
            cells = [int(np.dot(i, stride)) for i in np.ndindex(*size)]
            if len(set(cells)) < len(cells):
                checked += 1
                assert torch_zip._overlaps(size, stride), (size, stride)
    assert checked > 50
    base = torch.empty(3, 4, 5)
    for dense in (base, base.permute(2, 0, 1), base[1:, ::2], base[:, :, 3], base.reshape(1, 60)):
        assert not torch_zip._overlaps(tuple(dense.shape), dense.stride())


def test_bool_storages_hold_bools(tmp_path):
    path = archive(
        tmp_path / "a.pt", tensor_pickle("BoolStorage", 2, 0, (2,), (1,)), _0=b"\x01\x02"
    )
    assert problem(path)[0] == "SFX-E114"


def test_archives(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(example(), path)
    whole = path.read_bytes()
    for size in (1, 3, 10, 30, 200, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert problem(path)[0] == "SFX-E110", size
    path.write_bytes(b"")
    assert problem(path)[0] == "SFX-E110"
    assert problem(tmp_path / "missing.pt")[0] == "SFX-E110"
    assert problem(tmp_path)[0] == "SFX-E110"
    path.write_text("text")
    assert problem(path)[0] == "SFX-E110"
    torch.save({"a": 1}, path, _use_new_zipfile_serialization=False)
    assert "before version 1.6" in problem(path)[1]
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    assert "TorchScript" in problem(path)[1]
    # one flipped bit in the weights is found by the entry's checksum
    start = whole.index(example()["state_dict"]["weight"].numpy().tobytes())
    path.write_bytes(whole[:start] + bytes([whole[start] ^ 1]) + whole[start + 1 :])
    assert problem(path)[0] == "SFX-E110"


def test_zip_bombs(tmp_path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickle.dumps({}, 2))
        file.writestr("archive/data/0", bytes(50 << 20))
    assert path.stat().st_size < 1 << 20
    assert "compressed" in problem(path)[1]
    # an entry that claims more than the file holds
    archive(path, pickle.dumps({}, 2), _0=bytes(10))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", 1 << 31, 1 << 31)
    path.write_bytes(bytes(data))
    assert problem(path)[0] in ("SFX-E110", "SFX-E113")
    # many entries over the same bytes
    path.unlink()
    archive(path, pickle.dumps({}, 2), _0=bytes(1000))
    source = path.read_bytes()
    at, end = source.rindex(b"PK\x01\x02"), source.rindex(b"PK\x05\x06")
    copies = b"".join(
        source[at:end].replace(b"data/0", b"data/" + bytes([49 + i])) for i in range(8)
    )
    tail = bytearray(source[end:])
    tail[8:12] = struct.pack("<HH", 10, 10)
    tail[12:16] = struct.pack("<I", struct.unpack("<I", tail[12:16])[0] + len(copies))
    path.write_bytes(source[:end] + copies + bytes(tail))
    assert problem(path)[0] in ("SFX-E110", "SFX-E113")
    # the same name twice
    path.unlink()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}, 2))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("archive/data.pkl", pickle.dumps({"a": 1}, 2))
    assert "twice" in problem(path)[1]


def _valid_body() -> bytes:
    buffer = io.BytesIO()
    torch.save(example(), buffer)
    with zipfile.ZipFile(buffer) as file:
        return file.read("archive/data.pkl")


VALID = _valid_body()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.binary(max_size=6)), max_size=6))
def test_any_damage_ends_in_a_clear_refusal(changes):
    body = bytearray(VALID)
    for at, data in changes:
        body[at : at + len(data)] = data
    answers: dict[str, safe_pickle.Call] = {
        n: lambda a: None
        for n in (
            "collections OrderedDict", "torch._utils _rebuild_tensor_v2",
            "torch._utils _rebuild_parameter", "torch Size", "_codecs encode",
        )
    }  # fmt: skip
    known = safe_pickle.Known(
        answers | beside.CALLS, beside.NAMES | frozenset(torch_zip.STORAGES), beside.VALUES
    )
    codes: set[str] = set()
    global watching
    EVENTS.clear()
    watching = True
    try:
        safe_pickle.load(bytes(body), known, lambda i: None, "fuzz")
    except InputError as error:
        codes.add(error.code)
    finally:
        watching = False
    assert EVENTS == []
    assert codes <= {"SFX-E111", "SFX-E112", "SFX-E113"}


# --- the form -------------------------------------------------------------------------------


def saved(tmp_path: Path, **changes: Any) -> Path:
    content = {**example(), **changes}
    path = tmp_path / "a.pt"
    torch.save({k: v for k, v in content.items() if v is not ...}, path)
    return path


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"sfx": ...}, "SFX-E115", "does not name its architecture"),
        ({"sfx": 2}, "SFX-E115", "format 2, this version of sfx reads format 1"),
        ({"sfx": "1"}, "SFX-E115", "format '1'"),
        ({"model": ...}, "SFX-E115", "has no key 'model'"),
        ({"model": 3}, "SFX-E115", "'model' is a int, expected a str"),
        ({"model": "resnet"}, "SFX-E117", "known models: spikeformer"),
        ({"config": [1]}, "SFX-E115", "'config' is a list"),
        ({"config": {1: 2}}, "SFX-E115", "config 1"),
        ({"config": {"a": torch.ones(1)}}, "SFX-E115", "config 'a'"),
        ({"state_dict": {"w": 1.0}}, "SFX-E115", "state_dict 'w' is a float"),
        ({"state_dict": {5: torch.ones(1)}}, "SFX-E115", "state_dict 5"),
        ({"calibration": torch.ones(2, 2)}, "SFX-E115", "calibration is torch.float32 (2, 2)"),
        ({"calibration": [1]}, "SFX-E115", "calibration is list"),
    ],
)
def test_wrong_forms(tmp_path, changes, code, text):
    got, message = problem(saved(tmp_path, **changes), load_checkpoint)
    assert got == code
    assert text in message


def test_all_problems_of_the_form_come_at_once(tmp_path):
    path = saved(tmp_path, model=..., config=3, state_dict=...)
    with pytest.raises(InputError) as error:
        load_checkpoint(path)
    assert len(error.value.problems) == 3


def test_weights_that_are_not_finite_are_named(tmp_path):
    state = {
        "a": torch.ones(3),
        "b": torch.tensor([1, float("nan")]),
        "c": torch.full((2,), torch.inf),
    }
    with pytest.raises(InputError) as error:
        load_checkpoint(saved(tmp_path, state_dict=state))
    assert [p.code for p in error.value.problems] == ["SFX-E116"] * 2
    assert "'b' hold 1 value" in str(error.value)
    assert "'c' hold 2 value" in str(error.value)

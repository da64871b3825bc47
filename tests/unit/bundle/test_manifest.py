"""A bundle that was sealed again around other contents: every command says what is wrong, or works.

The seal is no secret, so a stranger can make one; whatever the manifest or the placement then
hold, no command ends in a traceback.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sfx.toolchain.app import api, cli
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.data import Data
from sfx.toolchain.formats.bundle import bundle
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.targets import load
from tests.graphs import live_case

STRANGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    1e300,
    "x",
    "a\nEQUAL",
    [],
    [None],
    {},
    {"x": 1},
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled model with every key that a manifest can have, and two samples."""
    folder = tmp_path_factory.mktemp("sealed")
    graph, x = live_case(False, True, 2)
    compiled = compile_graph(graph, load("loihi"), x)
    from sfx.toolchain.app.api.manifests import manifest_of

    facts = manifest_of("m", "0" * 64, load("loihi"), compiled.placed) | {
        "calibration": {"source": "DATA", "samples": 2, "sha256": "1" * 64},
        "quantization": [r.as_dict() for r in compiled.records],
        "nir": {"dt": 1e-3, "convention": "nir", "reset": None, "read": [], "lines": ["a"]},
        "trusted_pickle": False,
        "weights": "",
    }
    api.save(bundle.Bundle(compiled.placed, b"", facts), folder / "m.sfx")
    np.savez(folder / "x.npz", x=x[:2].astype(np.uint8))
    return folder


def sealed(entries: dict[str, bytes], folder: Path) -> Path:
    """The entries as a bundle whose checksums are right."""
    manifest = json.loads(entries["manifest.json"])
    if isinstance(manifest, dict):
        others = {k: v for k, v in entries.items() if k != "manifest.json"}
        manifest["sha256"] = {k: hashlib.sha256(v).hexdigest() for k, v in others.items()}
        entries = entries | {"manifest.json": json.dumps(manifest).encode()}
    path = folder / "sealed.sfx"
    path.write_bytes(bundle.pack(entries))
    return path


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in JSON, of two items of each list at most."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value[:2]) if isinstance(value, list) else inside
    for key, item in inside:
        yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return found


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except SfxError as error:
        return error.code
    return "works"


def walk(path: Path, x: Path) -> str:
    """Read the file and report on it, as the commands do; the code of what is refused."""

    def every() -> None:
        found = api.load(path)
        api.report(found)
        api.remap(found)
        api.diff(found, found)
        api.inspect(path)
        api.target_of(found)

    return outcome(every)


def test_every_value_of_the_manifest_may_be_anything(made: Path) -> None:
    entries = bundle.unpack(made / "m.sfx")
    manifest = json.loads(entries["manifest.json"])
    seen: dict[str, int] = {}
    spots = [p for p in places(manifest) if p[0] not in ("sha256", "target_table")]
    for i, spot in enumerate(spots):
        for to in STRANGE[i % 5 :: 5]:
            text = json.dumps(changed(manifest, spot, to)).encode()
            code = walk(sealed(entries | {"manifest.json": text}, made), made / "x.npz")
            seen[code] = seen.get(code, 0) + 1
    assert sum(seen.values()) > 120
    assert seen["SFX-E601"] > 40
    assert seen["works"] > 10


@pytest.mark.parametrize(
    "text", ['{"schema_version": 2, "x": NaN}', "[]", "null", "[" * 5000, "1e9999"]
)
def test_a_manifest_that_is_no_table(made: Path, text: str) -> None:
    entries = bundle.unpack(made / "m.sfx") | {"manifest.json": text.encode()}
    path = made / "sealed.sfx"
    path.write_bytes(bundle.pack(entries))
    assert walk(path, made / "x.npz") in ("SFX-E601", "SFX-E602")


def blocks(program: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program["blocks"]
    return found


def drop(program: dict[str, Any]) -> None:
    blocks(program).pop()


def twice(program: dict[str, Any]) -> None:
    blocks(program).append(blocks(program)[0])


def elsewhere(program: dict[str, Any]) -> None:
    blocks(program)[0]["chip"] = 7


def negative(program: dict[str, Any]) -> None:
    blocks(program)[0]["core"] = -1


def lighter(program: dict[str, Any]) -> None:
    blocks(program)[0]["usage"]["synapse_words"] = 0


def weightless(program: dict[str, Any]) -> None:
    blocks(program)[0]["usage"]["neurons"] = -5


def strange(program: dict[str, Any]) -> None:
    blocks(program)[0]["population"] = "nobody"


def other_axes(program: dict[str, Any]) -> None:
    tile = blocks(program)[0]["tile"]
    tile["axes"], tile["start"], tile["stop"] = [10**9], [0], [10**9]


def crowded(program: dict[str, Any]) -> None:
    for block in blocks(program):
        block["core"] = 0


@pytest.mark.parametrize(
    "change",
    [drop, twice, elsewhere, negative, lighter, weightless, strange, other_axes],
    ids=lambda f: f.__name__,
)
def test_a_placement_that_is_not_whole_or_not_true(
    made: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    entries = bundle.unpack(made / "m.sfx")
    program = json.loads(entries["program.json"])
    change(program)
    path = sealed(entries | {"program.json": json.dumps(program).encode()}, made)
    assert walk(path, made / "x.npz") in ("SFX-E430", "SFX-E431", "SFX-E432", "SFX-E601")


def test_counts_are_those_of_the_program(made: Path) -> None:
    entries = bundle.unpack(made / "m.sfx")
    manifest = json.loads(entries["manifest.json"])
    true = manifest["statistics"]["neurons"]
    manifest["statistics"]["neurons"] = 7
    path = sealed(entries | {"manifest.json": json.dumps(manifest).encode()}, made)
    assert api.load(path).manifest["statistics"]["neurons"] == true > 7


def test_a_bundle_without_a_mapping_runs_and_is_not_reported(made: Path) -> None:
    entries = bundle.unpack(made / "m.sfx")
    program = json.loads(entries["program.json"])
    program["blocks"] = []
    path = sealed(entries | {"program.json": json.dumps(program).encode()}, made)
    x = np.load(made / "x.npz")["x"]
    assert api.run(api.load(path), Data(x, None)).sums.any()
    assert outcome(lambda: api.report(api.load(path))) == "SFX-E670"


def test_texts_of_a_manifest_are_shown_on_one_line(made: Path) -> None:
    entries = bundle.unpack(made / "m.sfx")
    manifest = json.loads(entries["manifest.json"])
    manifest["model"]["name"] = "a\nEQUAL: \x1b[2J"
    manifest["nir"]["lines"] = ["b\nEQUAL"]
    path = sealed(entries | {"manifest.json": json.dumps(manifest).encode()}, made)
    for command in (["inspect"], ["report"], ["map", "-o", str(made / "n.sfx")]):
        done = CliRunner().invoke(cli.app, [command[0], str(path), *command[1:]])
        assert done.exit_code == 0, done.output
        assert "\x1b" not in done.output
        assert not any(line.startswith("EQUAL") for line in done.output.splitlines())

"""A fine-tuned model under PyTorch's own tools: compiled, autocast, copied, on several processes.

Outputs are counted and equal to the last bit, and so are gradients but where two processes add up
halves of a batch.
"""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings(
        "ignore:The .grad attribute of a Tensor:UserWarning"
    ),  # torch.compile
]

from torch import Tensor, nn  # noqa: E402

from sfx.frontends import zoo  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.toolchain.qat.model import QatModel  # noqa: E402
from tests.unit.qat.nets import CLASSES, events, labels, prepared, time_first  # noqa: E402

BATCH = 8
Forward = Callable[[Tensor], Tensor]


def batch() -> tuple[Tensor, Tensor]:
    return time_first(events(BATCH, seed=5)), labels(BATCH)


def step(forward: Forward, model: nn.Module) -> tuple[Tensor, list[Tensor]]:
    """Output and gradients of one batch."""
    x, y = batch()
    model.zero_grad()
    out = forward(x)
    nn.functional.cross_entropy(out.float(), y).backward()
    grads = [w.grad for w in model.parameters()]
    assert all(g is not None for g in grads)
    return out.detach(), [g.clone() for g in grads if g is not None]


def same(forward: Forward, model: nn.Module, eagerly: tuple[Tensor, list[Tensor]]) -> None:
    """Equal bits, of a model that says something and learns."""
    out, grads = step(forward, model)
    assert out.dtype == torch.float32
    assert out.numel() == BATCH * CLASSES
    assert torch.equal(out, eagerly[0])
    assert out.std() > 0
    compared = sum(g.numel() for g in grads)
    assert compared == sum(w.numel() for w in model.parameters()) > 1000
    assert sum(bool(g.any()) for g in grads) > len(grads) // 2
    for got, want in zip(grads, eagerly[1], strict=True):
        assert torch.equal(got, want)


def compiler(backend: str) -> None:
    if not torch._dynamo.is_dynamo_supported():
        pytest.skip("torch.compile does not know this Python")
    if backend == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch's compiler of code needs a C++ compiler")
    torch._dynamo.reset()


BACKENDS = ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled(backend: str) -> None:
    import torch._dynamo

    compiler(backend)
    model = prepared()
    eagerly = step(model, model)
    same(torch.compile(model, backend=backend), model, eagerly)


class Larger(nn.Module):
    """A model within a user's own."""

    def __init__(self, model: QatModel) -> None:
        super().__init__()
        self.model, self.scale = model, nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.model((x > 0.5).float()) * self.scale)


def test_compiled_as_a_part() -> None:
    import torch._dynamo

    compiler("aot_eager")
    model = Larger(prepared())
    eagerly = step(model, model)
    same(torch.compile(model, backend="aot_eager"), model, eagerly)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_under_autocast(kind: torch.dtype) -> None:
    model = prepared()
    eagerly = step(model, model)

    def forward(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=kind):
            return model(x)

    same(forward, model, eagerly)


def test_a_layer_under_autocast_before_it() -> None:
    """Whole counts in half precision are whole counts."""
    model = prepared()
    x, _ = batch()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        given = nn.functional.linear(x, torch.eye(x.shape[-1]))
        assert given.dtype == torch.bfloat16
        got = model(given)
    assert torch.equal(got, model(x))


def test_copied_and_saved_whole() -> None:
    model = prepared()
    eagerly = step(model, model)
    twin = copy.deepcopy(model)
    same(twin, twin, eagerly)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    read = torch.load(buffer, weights_only=False)
    same(read, read, eagerly)


def parallel(rank: int, count: int, folder: str) -> None:
    """One process of several: its share of the batch, the gradients that all of them have."""
    import torch.distributed as dist

    torch.set_num_threads(1)
    at = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=at, rank=rank, world_size=count)
    model = torch.load(f"{folder}/model.pt", weights_only=False)
    x, y = torch.load(f"{folder}/batch.pt", weights_only=True)
    wrapped = nn.parallel.DistributedDataParallel(model)
    own = slice(rank * len(y) // count, (rank + 1) * len(y) // count)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    out = wrapped(x[:, own])
    nn.functional.cross_entropy(out, y[own]).backward()
    grads = [w.grad for w in model.parameters()]
    optimizer.step()
    after = model(x).detach()
    torch.save((out.detach(), grads, after), f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("count", [1, 2])
def test_several_processes(count: int, tmp_path: Path) -> None:
    """Gradients of halves of a batch on two processes are those of the batch on one."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    model = prepared()
    torch.save(model, tmp_path / "model.pt")
    torch.save(batch(), tmp_path / "batch.pt")
    out, grads = step(model, model)
    torch.multiprocessing.spawn(parallel, (count, str(tmp_path)), count)
    found = [torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in range(count)]
    assert torch.equal(torch.cat([f[0] for f in found]), out)
    for _, theirs, after in found:
        assert torch.equal(after, found[0][2])  # trained alike
        assert not torch.equal(after, out)
        for got, want in zip(theirs, grads, strict=True):
            assert torch.allclose(got, want, rtol=1e-4, atol=1e-6 * float(want.abs().max() + 1e-9))


# --- networks of the zoo --------------------------------------------------------------------------

FAMILIES = ("spikformer", "spikingformer", "spike_driven", "qkformer", "sglformer")


@pytest.mark.parametrize(
    "name",
    [n if n == "spike_driven" else pytest.param(n, marks=pytest.mark.slow) for n in FAMILIES],
)
def test_the_zoo_is_compiled_in_one_graph(name: str) -> None:
    import torch._dynamo

    from tests.models.families import CASES

    compiler("eager")
    case = CASES[f"zoo: {name}"]
    net = case.model()
    x = time_first(case.samples(2))
    want = net(x)
    got = torch.compile(net, backend="eager", fullgraph=True)(x)
    assert got.numel() == want.numel() > 0
    assert torch.equal(got, want)
    assert want.std() > 0


def test_a_wrong_shape_is_refused_all_the_same() -> None:
    import torch._dynamo

    compiler("eager")
    net = zoo.build("spike_driven", {}).eval()
    with pytest.raises(InputError, match="SFX-E122"):
        torch.compile(net, backend="eager")(torch.zeros(2, 1, 3, 5, 5))

"""`sfx.qat.prepare` takes what `sfx.compile` takes, and computes that Program, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for _library in ("norse", "snntorch", "spikingjelly"):
    pytest.importorskip(_library, reason=f"{_library} is not installed")

import sfx  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from tests.e2e import test_readouts  # noqa: E402
from tests.e2e.test_models import MODELS  # noqa: E402

pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

QUICK = (
    "norse: readme",
    "norse: cell: LIFCell",
    "norse: cell: LIFCell leak and reset",
    "norse: over time: LIF",
    "norse: StateByHand",
    "snntorch: neuron: Synaptic zero at once",
    "own: ",
)
NAMES = [n for n in MODELS if n.startswith(QUICK)]


def time_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).float().transpose(0, 1)


def computes_its_program(model: sfx.qat.QatModel, x: np.ndarray, least: int = 30) -> None:
    """Before and after a random step, against the reference backend."""
    generator = torch.Generator().manual_seed(1)
    for moved in (False, True):
        if moved:
            with torch.no_grad():
                for weight in model.parameters():
                    weight += 0.1 * torch.randn(weight.shape, generator=generator)
        found = sfx.qat.verify(model, x)
        assert found.equal, found.first
        assert found.compared > least
        assert len(found.silent) < found.populations


@pytest.mark.parametrize(
    "name", [n if n in NAMES else pytest.param(n, marks=pytest.mark.slow) for n in MODELS]
)
def test_models_as_users_write_them(name: str) -> None:
    case = MODELS[name]
    x = case.samples(6)
    options: dict[str, Any] = {"calibrate": x, "input_layout": case.input_layout, "check": False}
    program = sfx.compile(case.model(), **options).program
    model = sfx.qat.prepare(case.model(), **options)
    assert [q.name for q in sfx.compile(model).program] == [q.name for q in program]
    computes_its_program(model, x[:2])


@pytest.mark.parametrize(("kind", "how"), test_readouts.ALL)
def test_membranes_that_are_read_out(kind: str, how: str) -> None:
    """However the steps become one answer: as the compiled Program's, and with gradients."""
    x = test_readouts.events(16, 1)
    net = test_readouts.MODELS[kind](how).eval()
    program = sfx.compile(net, calibrate=x).program
    model = sfx.qat.prepare(net, calibrate=x, check=False)
    (li,) = [q.name for q in model.program() if isinstance(q.neuron, p.LI)]
    said = sfx.run(program, x, backend_name="reference")
    got = model(time_first(x))
    expected = said.sums / program.readout.scale
    assert np.allclose(got.detach().numpy(), expected, rtol=1e-6, atol=1e-9)
    assert np.ptp(expected) > 0.1
    torch.nn.functional.cross_entropy(got, torch.arange(16) % test_readouts.CLASSES).backward()
    assert all(bool(w.grad.abs().sum() > 0) for w in model.weights.values())
    assert li in found_populations(model, x[:4])
    computes_its_program(model, x[:4])


def found_populations(model: sfx.qat.QatModel, x: np.ndarray) -> list[str]:
    """Populations that send something."""
    return [n for n, s in model.spikes(time_first(x)).items() if bool(s.abs().sum() > 0)]


def test_the_gradient_of_a_membrane_is_torchs_own() -> None:
    """On whole numbers without rounding: a leaky integrator of float64 beside it."""
    from sfx.toolchain.qat import straight

    c = straight.Constants(keep_u=1024, keep_v=2048, threshold=0, unity=4096, top=(1 << 23) - 1)
    torch.manual_seed(0)
    a = torch.randint(-50, 50, (6, 3, 4)).float().requires_grad_()
    bias = torch.randint(-50, 50, (4,)).float().requires_grad_()
    zero = torch.zeros(3, 4)
    weigh = torch.randn(6, 3, 4)
    sent, _, _ = straight.leaky(a, bias, zero, zero, c)
    (sent * weigh).sum().backward()
    b, b_bias = (t.detach().clone().requires_grad_() for t in (a, bias))
    u = v = zero
    total = torch.zeros(())
    for t in range(6):
        u = 0.25 * u + 64 * b[t]
        v = 0.5 * v + u + b_bias
        total = total + (v * weigh[t]).sum()
    total.backward()
    assert torch.allclose(a.grad, b.grad)
    assert torch.allclose(bias.grad, b_bias.grad)


# --- files and graphs -----------------------------------------------------------------


def small() -> torch.nn.Module:
    """A factory as of `--model`."""
    import snntorch as snn

    torch.manual_seed(3)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = torch.nn.Linear(10, 12), torch.nn.Linear(12, 4)
            self.lif1, self.lif2 = snn.Leaky(beta=0.9), snn.Leaky(beta=0.9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mem1, mem2, out = self.lif1.init_leaky(), self.lif2.init_leaky(), []
            for step in x:
                spikes, mem1 = self.lif1(self.fc1(step), mem1)
                spikes, mem2 = self.lif2(self.fc2(spikes), mem2)
                out.append(spikes)
            return torch.stack(out).mean(0)

    return Net()


def counts(samples: int = 12) -> np.ndarray:
    return (np.random.default_rng(4).random((samples, 6, 10)) < 0.5).astype(np.int64)


def _graph(folder: Path) -> tuple[Any, dict[str, Any]]:
    return sfx.export(small().eval(), time_first(counts(1))), {}


def _nir(folder: Path) -> tuple[Any, dict[str, Any]]:
    import nir

    nir.write(folder / "net.nir", _graph(folder)[0])
    return folder / "net.nir", {}


def _onnx(folder: Path) -> tuple[Any, dict[str, Any]]:
    pytest.importorskip("onnx")
    sfx.export(small().eval(), time_first(counts(1)), onnx=folder / "net.onnx")
    return folder / "net.onnx", {}


def _checkpoint(folder: Path) -> tuple[Any, dict[str, Any]]:
    torch.save({"state_dict": small().state_dict(), "epoch": 3}, folder / "net.pth")
    return folder / "net.pth", {"model": "tests.unit.qat.test_doors:small"}


def _safetensors(folder: Path) -> tuple[Any, dict[str, Any]]:
    from safetensors.torch import save_file

    save_file(small().state_dict(), folder / "net.safetensors")
    return str(folder / "net.safetensors"), {"model": "tests.unit.qat.test_doors:small"}


def _loaded(folder: Path) -> tuple[Any, dict[str, Any]]:
    from sfx.toolchain.app import api

    return api.load_model(_nir(folder)[0]), {}


DOORS: dict[str, Callable[[Path], tuple[Any, dict[str, Any]]]] = {
    "NIR graph": _graph,
    ".nir": _nir,
    ".onnx": _onnx,
    "checkpoint": _checkpoint,
    "safetensors": _safetensors,
    "loaded": _loaded,
}


@pytest.mark.parametrize("door", DOORS)
def test_files_and_graphs(door: str, tmp_path: Path) -> None:
    """The same integers as of the module itself."""
    source, options = DOORS[door](tmp_path)
    x = counts()
    model = sfx.qat.prepare(source, calibrate=x, **options)
    own = sfx.qat.prepare(small().eval(), calibrate=x)
    a, b = sfx.compile(model).program, sfx.compile(own).program
    assert len(a.projections) == len(b.projections) > 4
    for j, k in zip(a.projections, b.projections, strict=True):
        assert np.array_equal(j.connection.weights, k.connection.weights)
        assert j.weight_exp == k.weight_exp
    computes_its_program(model, x[:3])

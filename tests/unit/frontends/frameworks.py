"""What the tests of the neuron libraries share: lively weights, and the comparison."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sfx.frontends.tracing.export import export
from sfx.toolchain.formats.nir import bridge as nir_bridge
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir import graph as g


def lively(net: nn.Module, seed: int = 0) -> nn.Module:
    """Weights on a grid of 1/8, so that every sum is exact in float32."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                for p in module.parameters():
                    p.copy_(torch.randint(-6, 10, p.shape, generator=generator) / 8)
    return net.eval()


def check(
    net: nn.Module,
    x: Tensor,
    neurons: type | tuple[type, ...],
    run: Callable[[], object],
    input_layout: str = "TB",
    example: Tensor | None = None,
) -> g.Graph:
    """Every neuron fires, and the graph gives the spikes that `run` makes in the library itself.

    x    [T, B, ...]; run calls the model on it, as its user would
    """
    seen: dict[str, list[np.ndarray]] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            seen.setdefault(path, []).append(spikes.detach().numpy())

        return hook

    graph = nir_bridge.to_graph(
        export(net, x[:, :1] if example is None else example, input_layout=input_layout)
    )
    paths = [(n, m) for n, m in net.named_modules() if isinstance(m, neurons)]
    handles = [m.register_forward_hook(keep(n)) for n, m in paths]
    with torch.no_grad():
        run()
    for handle in handles:
        handle.remove()
    got = evaluate.run(graph, x.numpy().swapaxes(0, 1).astype(np.float64))
    for path, steps in seen.items():
        want = steps[0].swapaxes(0, 1) if len(steps) == 1 else np.stack(steps, 1)
        name = next(n.name for n in graph.of_type(g.LIF, g.IF) if n.module == path)
        assert 0.02 < want.mean() < 0.98, f"{path} fires at rate {want.mean()}"
        np.testing.assert_array_equal(got[name].reshape(want.shape), want, err_msg=path)
    assert set(seen) == {n for n, _ in paths}
    return graph


def same_output(net: nn.Module, x: Tensor) -> g.Graph:
    """The graph of `net` computes torch's own output of x [T, B, ...], which is neither 0 nor full.

    A SpikingJelly model is reset before, as its user would.
    """
    graph = nir_bridge.to_graph(export(net, x[:, :1]))
    for module in net.modules():
        if hasattr(module, "set_reset_value"):
            module.reset()
    with torch.no_grad():
        want = net(x).numpy()
    assert len(np.unique(want)) > 1, "the output says nothing"
    (end,) = graph.of_type(g.Output)
    got = evaluate.run(graph, x.numpy().swapaxes(0, 1).astype(np.float64))[end.name]
    if end.op == g.Output("none"):
        want = want.swapaxes(0, 1)
    np.testing.assert_array_equal(evaluate.readout(graph, got).reshape(want.shape), want)
    return graph

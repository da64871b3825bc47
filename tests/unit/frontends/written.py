"""SpikingJelly's class whose methods are its equations, for subclasses that override one."""

from __future__ import annotations

from typing import Any

from spikingjelly.activation_based import neuron

if hasattr(neuron, "SimpleLIFNode"):  # 2.0, where LIFNode and its kin call functions

    class Written(neuron.SimpleLIFNode):  # type: ignore[misc]  # SpikingJelly ships without types
        """tau 2, the input decayed: what ParametricLIFNode is by default."""

        def __init__(self, **options: Any) -> None:
            tau, decays = options.pop("init_tau", 2.0), options.pop("decay_input", True)
            super().__init__(tau, decays, **options)

else:
    Written = neuron.ParametricLIFNode

"""A target: the limits and costs of one Loihi system, read from a TOML file with its sources."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ground.arithmetic import Arithmetic


@dataclass(frozen=True)
class Limits:
    """What one core, one synapse and one system can hold."""

    neurons_per_core: int
    synapse_words_per_core: int
    word_bits: int
    axons_in_per_core: int
    """0: not public, not checked. What counts as one: `lists`."""
    axons_out_per_core: int
    """0: not public, not checked."""
    cores_per_chip: int
    chips: int
    mesh: tuple[int, int]
    """Routers per chip (x, y)."""
    cores_per_router: int
    weight_bits: int
    weight_exp: tuple[int, int]
    threshold_bits: int
    bias_bits: int
    bias_exp: tuple[int, int]
    decay_bits: int
    state_bits: int
    max_delay: int
    """Largest `delay` of a projection, in hardware steps (1: the step every synapse costs)."""
    payload_bits: int
    """0: binary spikes only."""
    chip_grid: tuple[int, int] = (1, 1)
    """How the chips of the system are arranged (x, y)."""
    least_weight_bits: int = 0
    """Fewest bits that a stored weight takes. 0: every weight takes `weight_bits`."""
    stateful_neurons_per_core: int = 0
    """Neurons that keep a state from step to step. 0: as many as `neurons_per_core`."""
    synapse_index_bits: int = 0
    """Bits of the neuron's index in a stored synapse. 0: dense weights lie side by side."""
    neuron_groups_per_core: int = 0
    """Kinds of neurons that a core tells apart. 0: not public, not checked."""

    @property
    def arithmetic(self) -> Arithmetic:
        """What it computes with. Where spikes are binary, sums have no payload to fit: they take
        what the state holds.
        """
        return Arithmetic(
            self.weight_bits,
            self.weight_exp,
            self.state_bits,
            self.decay_bits,
            self.threshold_bits,
            self.bias_bits,
            self.bias_exp,
            self.payload_bits or self.state_bits,
        )

    @property
    def lists(self) -> bool:
        """Synapses are lists, as on Loihi 2 (`targets.memory`): a kernel's are shared by its pre
        neurons, so they are an axon together; a spike leaves by one entry for each population that
        it drives, however many cores hold it.

        Otherwise every pre neuron is an axon in, every core that it drives an axon out.
        """
        return self.synapse_index_bits > 0

    @property
    def cores(self) -> int:
        """Cores of the whole system."""
        return self.cores_per_chip * self.chips

    def neuron_share(self, neurons: int, stateful: int) -> float:
        """Share of a core that so many neurons take, `stateful` of them with a state."""
        with_state = self.stateful_neurons_per_core or self.neurons_per_core
        return (neurons - stateful) / self.neurons_per_core + stateful / with_state


@dataclass(frozen=True)
class Quantity:
    """A number with its unit, relative uncertainty (low, high factors) and source.

    fitted_to  the measurement that the value was fitted to, if one; then
    prior      is what one would take without that measurement: used to predict it
    """

    value: float
    unit: str
    low: float
    high: float
    source: str
    fitted_to: str = ""
    prior: Quantity | None = None


@dataclass(frozen=True)
class Target:
    """Limits and cost constants of one system. `limit_sources`: limit name -> where it is from."""

    name: str
    title: str
    limits: Limits
    limit_sources: dict[str, str]
    costs: dict[str, Quantity]

    @property
    def arithmetic(self) -> Arithmetic:
        """What it computes with: widths in bits, from its limits."""
        return self.limits.arithmetic

    def without(self, measurement: str) -> Target:
        """The target as if `measurement` had not been made: priors for what was fitted to it."""
        costs = {
            name: q.prior if q.prior is not None and q.fitted_to == measurement else q
            for name, q in self.costs.items()
        }
        return replace(self, costs=costs)

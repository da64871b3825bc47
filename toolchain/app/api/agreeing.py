"""`sfx verify --against torch`: a compiled model beside the torch model it was made of."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data import Samples, samples_of
from ...formats.bundle.bundle import Bundle
from ...ground.errors import InputError
from ...ground.memory import require
from ...ir.memory_use import of_run
from .models import ReadOptions, Source
from .renamed import renamed
from .running import events_of

if TYPE_CHECKING:
    import torch

    from ....backends.base import Progress
    from ....frontends.tracing.calls import Exported
    from ...verify.agreement import Agreement

HINT = "give the model file that was compiled (--source), with the same --model and --input-layout"


@renamed("takes", "input_layout")
def verify_torch(
    bundle: Bundle,
    x: Samples,
    source: torch.nn.Module | str | Path,
    *,
    model: str | None = None,
    input_layout: str = "TB",
    trust_pickle: bool = False,
    weights: str | None = None,
    dt: float | None = None,
    progress: Progress | None = None,
) -> Agreement:
    """Run the torch model and the Program on samples x [K, T, *input shape]; compare every spike.

    source: the model that was compiled, or its file; the rest as of `compile`. Equal spikes are
    required where nothing was rounded, and of a fine-tuned model (sfx.qat).
    Raises InputError: SFX-E710 another model, SFX-E711 no torch model, SFX-E712 nothing to compare.
    """
    from ....backends.fast.backend import FastBackend
    from ....frontends.witness.record import record
    from ...verify.agreement import Agreement, PopulationAgreement, agree, summed

    program = bundle.program
    events = events_of(program, samples_of(x).x)
    if "qat" in bundle.manifest:
        return _trained(bundle, events, source, progress)
    asked = ReadOptions(
        model, input_layout=input_layout, trust_pickle=trust_pickle, weights=weights, dt=dt
    )
    exported = _exported(bundle, source, tuple(events.shape[1:]), asked)
    require(of_run(program, "fast"), "one sample on fast")
    names = {p.name for p in program}
    parts: list[PopulationAgreement] = []
    missing: dict[str, str] = {}
    answers = 0
    comparable = True
    for i, sample in enumerate(events):
        seen = record(exported, sample.astype(np.float64))
        sent = FastBackend().layers(program, events[i : i + 1])
        parts += [agree(n, h.sent, sent[n][0]) for n, h in seen.neurons.items() if n in names]
        missing |= seen.missing | {n: "no population" for n in seen.neurons if n not in names}
        read = sent[program.readout.population].reshape(1, program.timesteps, -1)
        ours = program.readout.sums(read)[0]
        output = seen.output
        if output is not None and output.size == ours.size * program.timesteps:
            output = program.readout.reduced(output.reshape(1, program.timesteps, -1))[0]
        comparable &= output is not None and output.size == ours.size
        if comparable and output is not None:
            answers += int(np.argmax(output.ravel()) == np.argmax(ours))
        if progress is not None:
            progress(i + 1, len(events))
    if not parts:
        raise InputError("SFX-E712", "no population can be compared", where=program.name, hint=HINT)
    records = bundle.manifest["quantization"]
    lossless = bool(records) and all(r["exact"] for r in records)
    named = tuple(f"{n} ({why})" for n, why in missing.items())
    return Agreement(len(events), lossless, summed(parts), answers if comparable else None, named)


def _exported(
    bundle: Bundle,
    source: torch.nn.Module | str | Path,
    shape: tuple[int, ...],
    asked: ReadOptions,
) -> Exported:
    """The live model, if its graph is the one in the bundle."""
    from ...formats.nir.bridge import write

    name = str(bundle.manifest["model"]["name"])
    if isinstance(source, str | Path):
        from ...formats.table import FLOAT
        from .sources import read_for_samples

        found = read_for_samples(Path(source), shape, asked, FLOAT)
        exported = found.exported if isinstance(found, Source) else None
    else:
        import torch

        from ....frontends.tracing.export import traced

        exported = traced(
            source,
            torch.zeros(shape[0], 1, *shape[1:]),
            name=name,
            input_layout=asked.input_layout,
            dt=1e-3 if asked.dt is None else asked.dt,
        )
    if exported is None:
        raise InputError("SFX-E711", "is not a torch model", where=str(source), hint=HINT)
    buffer = io.BytesIO()
    write(exported.graph, buffer)
    if buffer.getvalue() != bundle.nir:
        where = str(source) if isinstance(source, str | Path) else type(source).__name__
        raise InputError("SFX-E710", "is not the model in the bundle", where=where, hint=HINT)
    return exported


def _trained(
    bundle: Bundle, x: NDArray[np.int64], source: Any, progress: Progress | None
) -> Agreement:
    """A fine-tuned model, which sends what the Program sends, payloads included."""
    import torch

    from ....backends.fast.backend import FastBackend
    from ...qat.store import load
    from ...verify.agreement import Agreement, agree, summed

    net = load(source) if isinstance(source, str | Path) else source
    if [p.name for p in net.program()] != [p.name for p in bundle.program]:
        where = str(source) if isinstance(source, str | Path) else type(source).__name__
        raise InputError("SFX-E710", "is not the model in the bundle", where=where, hint=HINT)
    device = next(net.parameters()).device
    parts = []
    for i in range(len(x)):
        with torch.no_grad():
            mine = net.spikes(torch.from_numpy(x[i : i + 1]).float().transpose(0, 1).to(device))
        sent = FastBackend().layers(bundle.program, x[i : i + 1])
        parts += [agree(n, mine[n][:, 0].cpu().double().numpy(), v[0]) for n, v in sent.items()]
        if progress is not None:
            progress(i + 1, len(x))
    return Agreement(len(x), True, summed(parts), None)

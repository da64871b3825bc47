"""Training of spiking networks: a loop that resumes exactly, and its parts, each usable alone.

    from sfx.training import Arrays, Augment, Recipe, Training

    samples = Arrays.of(x_train, y_train)             # x [K, T, C, H, W] counts, y [K]
    training = Training(model, samples, Recipe(epochs=20, batch=32, rate=4e-3), steps=4,
                        augment=Augment(shift=2))
    for epoch in training:                            # torch.save(training.state(), ...) to resume
        print(epoch.number, epoch.loss, epoch.train)
    training.finish()

`sfx train CONFIG.toml` is the same from a file. Whoever has a loop (Lightning, accelerate) takes
the parts: `Augment` and `EventAugment`, `stratified`, `supervised` (deep supervision), `Activity`
(what spikes cost, with a gradient), `quick` (kernels for Norse's neurons on a CPU).
"""

from sfx.frontends.training.activity import Activity, senders
from sfx.frontends.training.augment import Augment
from sfx.frontends.training.event_augment import EventAugment
from sfx.frontends.training.loop import Epoch, Training
from sfx.frontends.training.losses import divergence, supervised
from sfx.frontends.training.quick import quick
from sfx.frontends.training.recipe import Recipe
from sfx.frontends.training.samples import Arrays, Recordings, Samples
from sfx.frontends.training.split import stratified
from sfx.frontends.zoo.spikeformer import firing_rates, settle_batch_norm
from sfx.toolchain.app.api.training import interval, train
from sfx.toolchain.compiler.cost.synops import synops_per_spike

__all__ = [
    "Activity",
    "Arrays",
    "Augment",
    "Epoch",
    "EventAugment",
    "Recipe",
    "Recordings",
    "Samples",
    "Training",
    "divergence",
    "firing_rates",
    "interval",
    "quick",
    "senders",
    "settle_batch_norm",
    "stratified",
    "supervised",
    "synops_per_spike",
    "train",
]

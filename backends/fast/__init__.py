"""The reference's integers, faster: layer by layer over batches of samples, compiled kernels.

`backend` is what others call and fits the samples into memory; `prepared` readies a Program once,
`execute` runs its populations in model time over `spans` of steps, `before` computes what the
pipeline does before model step 0. `projections`, `convolutions` and `neurons` choose among the
kernels (numba). `contractions` and `accumulators` are what need not be simulated neuron by neuron.
Shares no code with the reference: each checks the other.
"""

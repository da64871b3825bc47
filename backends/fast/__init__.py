"""The reference's integers, faster: layer by layer over batches of samples, compiled kernels.

`backend` is what others call; `prepare` readies a Program once, `execute` runs its populations in
model time, `projections` and `neurons` choose among the `kernels` (numba), `before` computes what
the pipeline does before model step 0, `batches` fits the samples into memory. Shares no code with
the reference: each checks the other.
"""

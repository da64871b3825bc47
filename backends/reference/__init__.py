"""The definition of right: every rule of docs/semantics.md in plain numpy int64.

One file per neuron program (`neurons/`) and per kind of connection (`connections/`), found by the
names of their files (`ir/kinds.py`). `synapses` adds up what arrives; `pipeline` runs them by
hardware steps, `layers` by model steps; `backend` is what others call.
"""

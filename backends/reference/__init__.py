"""The definition of right: every rule of docs/semantics.md in plain numpy int64.

One file per neuron program (`lif`, `graded`, `graded_relu`, `product`, `host`) and per connection
kind (`dense`, `sparse`, `conv2d`, `structured`). `neurons` and `synapses` choose among them;
`pipeline` runs them by hardware steps, `layers` by model steps; `backend` is what others call.
"""

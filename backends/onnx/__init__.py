"""Backend `onnx`: the Program as standard integer ONNX operators, run by ONNX Runtime.

A witness that shares no code with the reference but `arith` (weight truncation, bias).

backend.py      OnnxBackend: stream and run
export.py       Program -> ONNX model: one Scan over hardware steps
body.py         the step's graph while it is built: nodes, constants, unique names
arithmetic.py   wraps and shifts in ONNX operators
sums.py         weighted sums in ONNX operators
connections/    one projection -> nodes, one file per kind
neurons/        one population -> nodes, one file per program
forms.py        what those files offer
parts.py        whether onnx and onnxruntime are installed

Only backend.py's session, export.py, body.py and what they import need onnx or onnxruntime.
"""

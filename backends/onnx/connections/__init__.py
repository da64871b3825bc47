"""One projection -> nodes: views, connection, exponent (integer semantics, section 3).

Spikes arrive flat, as bool where pre sends no payload, else as int64; what leaves is int64, flat.
One file per kind of connection.
"""

from __future__ import annotations

from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.kinds import Rules
from ....toolchain.ir.program import Population, Projection, View
from ..body import Scope
from ..forms import ConnectionForm, How

RULES = Rules("ONNX", __name__, ConnectionForm)


def project(
    at: Scope, j: Projection, pre: Population, post: Population, s: str, widths: Arithmetic
) -> str:
    """What `post` receives of the spikes `s` [*pre shape], as int64 [*post shape]."""
    x = view(at, at.reshape(s, pre.size), j.pre_view)
    how = How(not pre.graded, j.weight_exp, widths)
    y = RULES[type(j.connection)].connect(j.connection, at, x, how)
    return at.reshape(view(at, y, j.post_view), *post.shape)


def view(at: Scope, x: str, v: View | None) -> str:
    """x.reshape(split).transpose(order), flat again."""
    if v is None:
        return x
    return at.reshape(at.op("Transpose", at.reshape(x, *v.split), perm=list(v.order)), -1)

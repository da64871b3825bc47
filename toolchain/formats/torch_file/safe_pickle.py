"""An interpreter for the harmless part of pickle: plain data, and calls that we answer ourselves.

Python's unpickler imports and calls whatever a file names. Here opcodes are read one by one
(`pickletools.genops` only splits the bytes) and interpreted on our own stack: a global is never
looked up, it is a name; only names that the caller lists are accepted, and "calling" one calls the
caller's own function for it. Everything else is refused before anything happens.

Accepted: None, bool, int (8 bytes), float, str, bytes, list, tuple, dict, OrderedDict, sets (as
lists), references to objects already built, persistent ids, and a call (REDUCE, NEWOBJ) of a
listed global.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...ground.errors import InputError, Problem

MAX_BYTES = 4 << 20
"""Largest pickle: it holds names and shapes, not weights. It also bounds time and memory, as each
opcode makes at most one small object."""
MAX_DEPTH = 64
"""Deepest nesting of containers."""
MAX_ITEMS = 4_000_000
"""Most items once shared containers are counted each time they appear."""
SHOWN = 10
"""Problems listed before the rest is only counted."""

Call = Callable[[tuple[Any, ...]], Any]
HINT = (
    "save plain data and tensors only: torch.save({..., 'state_dict': model.state_dict()}, path); "
    "if you know who made it, --trust-pickle runs it"
)


@dataclass(frozen=True)
class Name:
    """A global as the pickle names it; never looked up."""

    text: str


class Record(dict[str, Any]):
    """An object of which only its attributes are kept, as names with values."""


class Built:
    """Something of the caller's that takes the state which BUILD brings."""

    def build(self, state: Any) -> None:
        """Take `state`. Raises Malformed."""
        raise NotImplementedError


class _Mark:
    """Where a MARK opcode stands on the stack."""


_MARK = _Mark()


class Malformed(Exception):
    """The opcodes make no sense together; the message says which."""


@dataclass(frozen=True)
class Known:
    """The globals that are accepted, each as "module name".

    calls   -> our function for it, given the tuple of arguments
    names   those that may only be arguments of a call or parts of a persistent id
    values  -> what it is, as plain data
    """

    calls: Mapping[str, Call]
    names: frozenset[str]
    values: Mapping[str, str]


def load(data: bytes, known: Known, persistent: Call, where: str) -> Any:
    """The object that `data` describes.

    persistent  our function for a persistent id, given the id (a tuple)

    Raises InputError: SFX-E111 a global or opcode that is not allowed, SFX-E112 malformed,
    SFX-E113 too large or too deep.
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            "SFX-E113", f"its pickle has {len(data)} bytes, the limit is {MAX_BYTES}", where=where
        )
    try:
        found = _scan(data, {*known.calls, *known.names, *known.values}, where)
        if found:
            raise InputError.of(_shortened(found, where))
        result = _Machine(data, known, persistent, where).run()
        _check_size(result, where)
    except InputError:
        raise
    except Malformed as error:
        raise InputError("SFX-E112", f"malformed pickle: {error}", where=where) from error
    except Exception as error:  # what pickletools raises for damaged bytes is not documented
        text = f"malformed pickle ({type(error).__name__})"
        raise InputError("SFX-E112", text, where=where) from error
    return result


def _forbidden(name: str, where: str) -> Problem:
    return Problem("SFX-E111", where, f"asks for {_shown(name)}, which is not allowed", HINT)


def _shown(name: str) -> str:
    module, _, attribute = name.partition(" ")
    return ascii(f"{module}.{attribute}"[:120])[1:-1]


def _scan(data: bytes, allowed: set[str], where: str) -> list[Problem]:
    """Every forbidden opcode and spelled-out global of the whole file, before any is executed."""
    found: list[Problem] = []
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name == "GLOBAL" and str(argument) not in allowed:
            found.append(_forbidden(str(argument), where))
        elif opcode.name not in _HANDLERS and opcode.name != "STOP":
            detail = f" ({_shown(str(argument))})" if opcode.name == "INST" else ""
            what = f"opcode {opcode.name}{detail} at byte {position} is not allowed"
            found.append(Problem("SFX-E111", where, what, HINT))
    return list(dict.fromkeys(found))


def _shortened(problems: list[Problem], where: str) -> list[Problem]:
    if len(problems) <= SHOWN:
        return problems
    more = Problem("SFX-E111", where, f"and {len(problems) - SHOWN} more")
    return [*problems[:SHOWN], more]


class _Machine:
    """Stack and memo of one pickle."""

    def __init__(self, data: bytes, known: Known, persistent: Call, where: str) -> None:
        self.data, self.known = data, known
        self.persistent, self.where = persistent, where
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for opcode, argument, position in pickletools.genops(self.data):
            if opcode.name == "STOP":
                if len(self.stack) != 1 or self.stack[0] is _MARK:
                    raise Malformed(f"{len(self.stack)} values on the stack at the end")
                return self.stack[0]
            handler = _HANDLERS.get(opcode.name)
            if handler is None:
                raise Malformed(f"opcode {opcode.name} at byte {position}")
            handler(self, argument)
        raise Malformed("no end")

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise Malformed("an opcode finds no value on the stack")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        """The value on top, which must be of exactly `kind` (a container under construction)."""
        if not self.stack or type(self.stack[-1]) not in (kind, *_SUBTYPES.get(kind, ())):
            raise Malformed(f"expected a {kind.__name__} on the stack")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                items = self.stack[i + 1 :]
                del self.stack[i:]
                return items
        raise Malformed("no mark on the stack")

    def fetch(self, index: int) -> None:
        if index not in self.memo:
            raise Malformed(f"memo {index} is empty")
        self.stack.append(self.memo[index])

    def store(self, index: int) -> None:
        if not self.stack or self.stack[-1] is _MARK:
            raise Malformed("nothing to remember")
        self.memo[index] = self.stack[-1]

    def push_name(self, text: str) -> None:
        known = self.known
        if text not in known.calls and text not in known.names and text not in known.values:
            raise InputError.of([_forbidden(text, self.where)])
        self.stack.append(known.values[text] if text in known.values else Name(text))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Malformed("a global without a name")
        self.push_name(f"{module} {name}")

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Malformed("a call of something that is not a function")
        call = self.known.calls.get(function.text)
        if call is None:
            raise InputError.of([_forbidden(function.text, self.where)])
        self.stack.append(call(arguments))

    def build(self) -> None:
        """The attributes of a record; what a `Built` takes.

        State for an OrderedDict (the `_metadata` of a state_dict) is dropped. Others have none.
        """
        state = self.pop()
        target = self.stack[-1] if self.stack else None
        if isinstance(target, Built):
            target.build(state)
            return
        target = self.top(OrderedDict)
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise Malformed("a state that is not a dict")
        if isinstance(target, Record):
            target.update(state)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise Malformed("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int, bool, bytes, type(None)):
                raise Malformed(f"a dict key of type {type(key).__name__}")
            target[key] = value

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))


_SUBTYPES: dict[type, tuple[type, ...]] = {dict: (OrderedDict, Record), OrderedDict: (Record,)}


def _integer(machine: _Machine, value: int) -> None:
    if not -(1 << 63) <= value < 1 << 64:
        raise Malformed("an integer of more than 8 bytes")
    machine.stack.append(value)


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _drop(machine: _Machine, _: Any) -> None:
    machine.pop()


def _set_one(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _set_many(machine: _Machine, _: Any) -> None:
    items = machine.pop_to_mark()
    machine.set_items(items)


def _append_one(machine: _Machine, _: Any) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _append_many(machine: _Machine, _: Any) -> None:
    items = machine.pop_to_mark()
    machine.top(list).extend(items)


def _persistent(machine: _Machine, _: Any) -> None:
    identity = machine.pop()
    if not isinstance(identity, tuple):
        raise Malformed("a persistent id that is not a tuple")
    machine.stack.append(machine.persistent(identity))


_HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda m, a: None,
    "FRAME": lambda m, a: None,
    "MARK": lambda m, a: m.stack.append(_MARK),
    "POP": _drop,
    "NONE": lambda m, a: m.stack.append(None),
    "NEWTRUE": lambda m, a: m.stack.append(True),
    "NEWFALSE": lambda m, a: m.stack.append(False),
    "BININT": _integer,
    "BININT1": _integer,
    "BININT2": _integer,
    "LONG1": _integer,
    "BINFLOAT": _push,
    "BINUNICODE": _push,
    "SHORT_BINUNICODE": _push,
    "BINUNICODE8": _push,
    "SHORT_BINBYTES": _push,
    "BINBYTES": _push,
    "BINBYTES8": _push,
    "EMPTY_DICT": lambda m, a: m.stack.append({}),
    "EMPTY_LIST": lambda m, a: m.stack.append([]),
    "EMPTY_SET": lambda m, a: m.stack.append([]),  # a set is read as a list
    "ADDITEMS": _append_many,
    "FROZENSET": lambda m, a: m.stack.append(m.pop_to_mark()),
    "EMPTY_TUPLE": lambda m, a: m.stack.append(()),
    "TUPLE": lambda m, a: m.stack.append(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, a: m.tuple_of(1),
    "TUPLE2": lambda m, a: m.tuple_of(2),
    "TUPLE3": lambda m, a: m.tuple_of(3),
    "APPEND": _append_one,
    "APPENDS": _append_many,
    "SETITEM": _set_one,
    "SETITEMS": _set_many,
    "BINPUT": lambda m, a: m.store(a),
    "LONG_BINPUT": lambda m, a: m.store(a),
    "MEMOIZE": lambda m, a: m.store(len(m.memo)),
    "BINGET": lambda m, a: m.fetch(a),
    "LONG_BINGET": lambda m, a: m.fetch(a),
    "GLOBAL": lambda m, a: m.push_name(a),
    "STACK_GLOBAL": lambda m, a: m.stack_global(),
    "REDUCE": lambda m, a: m.reduce(),
    "NEWOBJ": lambda m, a: m.reduce(),
    "BUILD": lambda m, a: m.build(),
    "BINPERSID": _persistent,
}


def _check_size(root: Any, where: str) -> None:
    """Refuse cycles, deep nesting, and few containers that unfold into very many."""
    size: dict[int, int] = {}
    depth: dict[int, int] = {}
    active: set[int] = set()
    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        value, ready = stack.pop()
        if isinstance(value, Name | Built):
            raise Malformed("a global is in the place of a value")
        children = _children(value)
        if ready:
            active.discard(id(value))
            size[id(value)] = 1 + sum(size.get(id(c), 1) for c in children)
            depth[id(value)] = 1 + max((depth.get(id(c), 0) for c in children), default=0)
            if size[id(value)] > MAX_ITEMS or depth[id(value)] > MAX_DEPTH:
                raise InputError(
                    "SFX-E113",
                    f"holds more than {MAX_ITEMS} items or nests deeper than {MAX_DEPTH}",
                    where=where,
                )
        elif children is not _LEAF and id(value) not in size:
            if id(value) in active:
                raise Malformed("a container that holds itself")
            active.add(id(value))
            stack.append((value, True))
            stack += [(c, False) for c in children]


_LEAF: list[Any] = []


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    return _LEAF

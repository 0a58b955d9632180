"""Unpickling of torch checkpoints in which every class is an inert stand-in.

A pickle is a program: it names callables and calls them. Here no name is ever imported. A name
becomes one of three things: a rebuilder written below (tensors, plain containers), a value that
is kept but never interpreted (numpy scalars, paths, dates), or a stand-in class whose instances
only remember the state they are given. Calling anything else ends the reading.
"""

import _compat_pickle
import io
import pickle
import reprlib
import sys
import zipfile
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import ClassVar

import torch

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
EXPANDED_ELEMENTS = 2**20

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (*STORAGES.values(), torch.float8_e4m3fn, torch.float8_e5m2)
}
CONTAINERS = {
    kind.__name__: kind for kind in (set, frozenset, list, dict, tuple, slice, complex, object)
}
# Reduced to a call of the class with plain arguments: kept as stand-ins, never interpreted.
VALUES = {
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "WindowsPath"),
    ("pathlib", "PureWindowsPath"),
    ("pathlib._local", "PosixPath"),
    ("pathlib._local", "WindowsPath"),
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "timedelta"),
    ("types", "SimpleNamespace"),
    ("torch", "device"),
    ("torch.serialization", "_get_layout"),
}
# Classes of the standard library that training scripts leave in checkpoints.
HARMLESS = {("argparse", "Namespace")}

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlevel = 3


class Refused(Exception):
    """The pickle asks for a call that is not on the list; the message shows the call."""


def describe_call(name, arguments):
    """`name(arguments)` on one line, long arguments shortened."""
    inside = ", ".join(_REPR.repr(argument) for argument in arguments)
    return " ".join(f"{name}({inside})".split())


class _StandInType(type):
    def __call__(cls, *arguments, **named):
        if (cls.module, cls.called) in VALUES:
            return cls.__new__(cls, *arguments)
        raise Refused(describe_call(cls.path, (*arguments, *named.values())))

    def __repr__(cls):
        return cls.path

    @property
    def path(cls):
        return f"{cls.module}.{cls.called}"


class StandIn(metaclass=_StandInType):
    """An object of a class that was never imported.

    `state` is what the pickle set on it, `entries` what it put into it as a mapping, `members`
    what it appended.
    """

    __slots__ = ("entries", "members", "state")
    module = called = ""

    def __new__(cls, *arguments, **named):
        if not _may_stand_in(cls.module, cls.called):
            raise Refused(describe_call(cls.path, (*arguments, *named.values())))
        instance = object.__new__(cls)
        instance.state, instance.entries, instance.members = {}, {}, []
        return instance

    def __setstate__(self, state):
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.state.update(part)

    def __setitem__(self, key, value):
        self.entries[key] = value

    def append(self, member):
        self.members.append(member)

    add = append

    def extend(self, members):
        self.members.extend(members)

    def __repr__(self):
        return f"<{type(self).path}>"


def _may_stand_in(module, name):
    if (module, name) in VALUES | HARMLESS:
        return True
    package = module.partition(".")[0]
    if package == "torch":  # a class that torch does not have was not written by torch
        return isinstance(vars(sys.modules.get(module, object)).get(name), type)
    return package not in sys.stdlib_module_names


class _Callable:
    """A rebuilder as the pickle sees it: it can be called, and nothing else."""

    __slots__ = ("_function", "_name")

    def __init__(self, name, function):
        self._name, self._function = name, function

    def __call__(self, *arguments):
        return self._function(*arguments)

    def __repr__(self):
        return self._name


class _Storage:
    """A flat run of numbers in the file."""

    __slots__ = ("flat",)

    def __init__(self, flat):
        self.flat = flat


class _StorageType:
    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype


def _rebuild_tensor(storage, offset, size, stride, *_):
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return _view(storage.flat, offset, size, stride)


def _rebuild_tensor_v3(storage, offset, size, stride, _grad, _hooks, dtype, *_):
    if not isinstance(storage, _Storage) or not isinstance(dtype, torch.dtype):
        raise ValueError("a tensor without a storage or a type of number")
    return _view(storage.flat.view(dtype), offset, size, stride)


def _view(flat, offset, size, stride):
    numbers = (offset, *size, *stride)
    if not all(type(n) is int and n >= 0 for n in numbers) or len(size) != len(stride):
        raise ValueError(f"a tensor of size {size}, stride {stride}, offset {offset}")
    count = prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and last >= flat.numel():
        raise ValueError(f"a tensor of size {size} reaches past its {flat.numel()} stored numbers")
    if count > max(flat.numel(), EXPANDED_ELEMENTS):
        raise ValueError(f"a tensor of size {size} repeats its {flat.numel()} stored numbers")
    if not count:
        return torch.empty(tuple(size), dtype=flat.dtype)
    return torch.as_strided(flat, tuple(size), tuple(stride), offset)


def _rebuild_parameter(data, *_):
    return data


def _rebuild_from_type(function, _kind, arguments, *_):
    if not isinstance(function, _Callable) or not isinstance(arguments, tuple):
        raise Refused(describe_call("torch._tensor._rebuild_from_type_v2", (function, arguments)))
    return function(*arguments)


def _encode(text, encoding="utf-8"):
    if encoding not in ("latin1", "latin-1", "utf-8"):
        raise Refused(describe_call("_codecs.encode", (text, encoding)))
    return text.encode(encoding)


REBUILDERS = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
    ("torch", "Size"): lambda size=(): tuple(size),
    ("_codecs", "encode"): _encode,
    ("collections", "defaultdict"): lambda _factory=None, entries=(): dict(entries),
    ("collections", "Counter"): lambda entries=(): dict(entries),
    ("collections", "deque"): lambda members=(), _length=None: list(members),
}


class InertUnpickler(pickle._Unpickler):
    """Reads one pickle; `storage(dtype, key, count)` supplies the flat tensors it refers to.

    The standard library's unpickler in Python: the one in C takes the number of a memo entry for
    the size of a table, so that five bytes of a file ask for any amount of memory, and it does
    not let the opcode BUILD be guarded.
    """

    dispatch: ClassVar[dict] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file, storage=None):
        super().__init__(file, encoding="utf-8", errors="replace")
        self._storage = storage
        self._stand_ins = {}

    def load_build(self):
        """State is for stand-ins alone: that of containers is dropped, anything else refused."""
        instance, state = self.stack[-2:]
        if isinstance(instance, OrderedDict):  # `_metadata` of state dicts
            self.stack.pop()
        elif isinstance(instance, StandIn):
            super().load_build()
        else:
            raise Refused(describe_call(f"{type(instance).__name__}.__setstate__", (state,)))

    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module, name):
        # Names of Python 2 mean what plain unpickling would take them for.
        if (module, name) in _compat_pickle.NAME_MAPPING:
            module, name = _compat_pickle.NAME_MAPPING[module, name]
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        if module == "builtins" and name in CONTAINERS:
            return CONTAINERS[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module in ("torch", "torch.storage", "torch.cuda") and name in STORAGES:
            return _StorageType(STORAGES[name])
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if (module, name) in REBUILDERS:
            return _Callable(f"{module}.{name}", REBUILDERS[module, name])
        if (module, name) not in self._stand_ins:
            attributes = {"__slots__": (), "module": module, "called": name}
            self._stand_ins[module, name] = _StandInType("StandIn", (StandIn,), attributes)
        return self._stand_ins[module, name]

    def persistent_load(self, reference):
        if self._storage is None:
            raise ValueError("a reference to a storage where there is none")
        if reference[0] == "module":  # legacy format: a class and its source, which stays unread
            return reference[1]
        tag, kind, key, _location, count, *_ = reference
        if tag != "storage" or not isinstance(kind, _StorageType) or type(count) is not int:
            raise ValueError(f"an unknown reference {_REPR.repr(reference)}")
        return _Storage(self._storage(kind.dtype, str(key), count))


def load_inert(path):
    """The object in a torch checkpoint, zip or legacy format, with classes as stand-ins.

    Raises Refused for a call that is not on the list, and whatever else goes wrong in a damaged
    file as the exception that it causes.
    """
    path = Path(path)
    if zipfile.is_zipfile(path):
        return _load_zip(path)
    return _load_legacy(path)


def check_archive(path):
    """Refuse an archive whose entries are larger than the file (torch never compresses them)."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    total = sum(entry.file_size for entry in entries)
    if total > Path(path).stat().st_size:
        raise ValueError(f"its entries unpack to {total} bytes, more than the file holds")
    if sum(name.endswith("/data.pkl") or name == "data.pkl" for name in names) != 1:
        raise ValueError("it is a zip archive without the data.pkl of torch")


def _load_zip(path):
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        program = next(name for name in names if name.endswith("data.pkl"))
        prefix = program.removesuffix("data.pkl")
        if prefix + "byteorder" in names and archive.read(prefix + "byteorder") != b"little":
            raise ValueError("its numbers are stored in big-endian order")
        storages = {}

        def storage(dtype, key, count):
            if key not in storages:
                storages[key] = _flat(archive.read(f"{prefix}data/{key}"), torch.uint8)
            if storages[key].numel() < count * dtype.itemsize:
                raise ValueError(f"storage {key} is shorter than it claims")
            return storages[key][: count * dtype.itemsize].view(dtype)

        return InertUnpickler(io.BytesIO(archive.read(program)), storage).load()


def _load_legacy(path):
    length = path.stat().st_size
    storages = {}

    def storage(dtype, key, count):
        # Filled after the pickle: the numbers follow it in the file.
        if key not in storages:
            claimed = sum(flat.numel() * flat.dtype.itemsize for flat in storages.values())
            if not 0 <= count * dtype.itemsize <= length - claimed:
                raise ValueError(f"storage {key} claims {count} numbers, more than the file holds")
            storages[key] = torch.zeros(count, dtype=dtype)
        return storages[key]

    with path.open("rb") as file:
        if InertUnpickler(file).load() != LEGACY_MAGIC:
            raise ValueError("it is a pickle, but not one written by torch.save")
        if InertUnpickler(file).load() != LEGACY_PROTOCOL:
            raise ValueError("it has an unknown protocol of torch.save")
        if not InertUnpickler(file).load().get("little_endian", True):
            raise ValueError("its numbers are stored in big-endian order")
        content = InertUnpickler(file, storage).load()
        for key in InertUnpickler(file).load():
            flat = storages[str(key)]
            count = int.from_bytes(file.read(8), "little")
            data = file.read(count * flat.dtype.itemsize)
            if count != flat.numel() or len(data) != count * flat.dtype.itemsize:
                raise ValueError(f"storage {key} is cut off")
            flat.copy_(_flat(data, flat.dtype))
    return content


def _flat(data, dtype):
    if not data:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype)

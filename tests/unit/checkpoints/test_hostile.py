"""A checkpoint that carries code is refused by name, and nothing of it runs."""

import builtins
import copyreg
import functools
import io
import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict

import pytest
import torch

from lcrp import InputError
from lcrp.checkpoints import read_checkpoint
from lcrp.checkpoints.reading import WRAPPERS


class Call:
    """Pickles as a call of any callable."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def as_archive(path, program):
    """The zip format of torch.save with a pickle of our own."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")


def as_legacy(path, program):
    """The legacy format of torch.save with a pickle of our own."""
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in head) + program)


def as_plain(path, program):
    path.write_bytes(program)


@pytest.fixture(params=[as_archive, as_legacy, as_plain])
def write(request):
    return request.param


def opcode_call(module, name, argument):
    """GLOBAL module name, one string argument, REDUCE: what no honest pickler writes."""
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("make", "call"),
    [
        (lambda c: Call(os.system, c), f"{os.system.__module__}.system("),
        (lambda c: Call(builtins.eval, f"__import__('os').system({c!r})"), "eval("),
        (lambda c: Call(builtins.exec, f"import os; os.system({c!r})"), "exec("),
        (lambda c: Call(subprocess.check_call, c), "subprocess.check_call("),
        (lambda c: Call(subprocess.Popen, c, 0, None), "subprocess.Popen("),
        (lambda c: Call(getattr, Call(__import__, "os"), "system"), "__import__('os')"),
        (lambda c: Call(functools.partial, os.system, c), "functools.partial("),
        (lambda c: OrderedDict(weight=1, bias=[Call(os.system, c)]), "system("),
        (lambda c: {"model": {"w": Call(OrderedDict, [("w", Call(os.system, c))])}}, "system("),
        (lambda c: Call(torch.hub.load, c, "model"), "torch.hub.load("),
        (lambda c: Call(torch.load, c), "torch.serialization.load("),
        (lambda c: Call(torch.nn.Conv2d, 3, 3, 1), "torch.nn.modules.conv.Conv2d("),
        (lambda c: Call(open, c, "w"), "open("),
    ],
)
def test_a_call_is_refused_by_name_and_does_not_run(tmp_path, make, call, protocol, write):
    trace = tmp_path / "it-ran"
    path = tmp_path / "innocent.pt"
    write(path, pickle.dumps(make(f"touch {trace}"), protocol))
    with pytest.raises(InputError) as refusal:
        read_checkpoint(path)
    message = str(refusal.value)
    assert str(path) in message
    assert call in message
    assert "nothing of it was run" in message
    assert "\n" not in message
    assert not trace.exists()


def test_the_same_pickle_runs_without_protection(tmp_path):
    """The tests above would notice: unpickled plainly, the command leaves its trace."""
    trace = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Call(os.system, f"touch {trace}")))
    assert trace.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch.nn.modules.conv", "Conv3dd"),
        ("torch._utils", "_rebuild_tensor_v9"),
        ("torch.nn.modules.container", "OrderedDict"),
        ("torch.serialization", "os.system"),
        ("lcrp.checkpoints.pickles", "load_inert"),
        ("models.yolo", "Model"),
        ("os", "system"),
    ],
)
def test_a_fake_class_cannot_be_called(tmp_path, module, name, write):
    path = tmp_path / "fake.pt"
    write(path, opcode_call(module, name, "touch it-ran"))
    with pytest.raises(InputError, match=rf"fake\.pt: refused.*{name}\('touch it-ran'\)"):
        read_checkpoint(path)


@pytest.mark.parametrize(("module", "name"), [("torch.nn", "Fake"), ("subprocess", "Popen")])
def test_a_fake_class_cannot_be_instantiated(tmp_path, module, name, write):
    path = tmp_path / "fake.pt"
    write(path, b"\x80\x02" + f"c{module}\n{name}\n".encode() + b"(Vls\nt\x81.")
    with pytest.raises(InputError, match=rf"refused.*{module}\.{name}\('ls'\)"):
        read_checkpoint(path)


CLOSING = {  # ways to have `module.name` called with one string
    "reduce": "c{m}\n{n}\n(V{a}\ntR.",
    "inst": "(V{a}\ni{m}\n{n}\n.",
    "obj": "(c{m}\n{n}\nV{a}\no.",
    "newobj": "c{m}\n{n}\n(V{a}\nt\x81.",
    "newobj-ex": "c{m}\n{n}\n(V{a}\nt}}\x92.",
    "stack-global": "V{m}\nV{n}\n\x93(V{a}\ntR.",
    "from-the-memo": "c{m}\n{n}\np7\n0V{a}\np8\n0g7\n(g8\ntR.",
    "beside-weights": "}}(Vmodel\n}}Vextra\nc{m}\n{n}\n(V{a}\ntRu.",
    "in-a-state": "cmodels.yolo\nModel\n)\x81}}V_modules\nc{m}\n{n}\n(V{a}\ntRsb.",
    "in-a-storage": "(Vstorage\nc{m}\n{n}\n(V{a}\ntRV0\nVcpu\nI1\ntQ.",
    "as-rebuilt": "ctorch._tensor\n_rebuild_from_type_v2\n(c{m}\n{n}\nN(V{a}\ntNtR.",
}


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval")])
@pytest.mark.parametrize("way", CLOSING)
def test_every_opcode_that_calls_is_refused(tmp_path, way, module, name, write):
    trace = tmp_path / "it-ran"
    command = f"touch {trace}" if name == "system" else f"open({str(trace)!r}, 'w')"
    path = tmp_path / "opcodes.pt"
    program = CLOSING[way].format(m=module, n=name, a=command).encode("latin-1")
    write(path, b"\x80\x04" + program)
    with pytest.raises(InputError, match=rf"opcodes\.pt: refused, .*{module}\.{name}"):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
def test_registered_extensions_are_not_known(tmp_path, monkeypatch, opcode):
    monkeypatch.setitem(copyreg._inverted_registry, 1, ("os", "system"))
    path = tmp_path / "extension.pt"
    trace = tmp_path / "it-ran"
    as_legacy(path, b"\x80\x04" + opcode + f"(Vtouch {trace}\ntR.".encode())
    with pytest.raises(InputError, match=r"extension\.pt: refused, .*os\.system"):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "instance",
    ["ctorch._utils\n_rebuild_tensor_v2\n", "ccollections\nCounter\n", "ctorch\nHalfStorage\n",
     "ctorch\nfloat16\n", "cmodels.yolo\nModel\n", "ccollections\nCounter\n)R",
     "ctorch\nSize\n)R", "Vtext\n", "I1\n"],
)  # fmt: skip
@pytest.mark.parametrize("state", ["(N}V__call__\nVx\nst", "}V__call__\nVx\ns", "I7\n"])
def test_nothing_but_stand_ins_takes_a_state(tmp_path, instance, state):
    # BUILD calls __setstate__, or sets attributes, on whatever object is on the stack.
    path = tmp_path / "altered.pt"
    as_legacy(path, b"\x80\x04" + f"{instance}{state}b.".encode())
    with pytest.raises(InputError, match=r"altered\.pt: refused, .*__setstate__"):
        read_checkpoint(path)


def test_a_tensor_takes_no_state(tmp_path):
    # Tensor.__setstate__ would let the file choose size and memory of a tensor.
    tensor = (
        "ctorch._utils\n_rebuild_tensor_v2\n"
        "((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI4\ntQI0\n(I4\nt(I1\ntI00\nNtR"
    )
    path = tmp_path / "stretched.pt"
    with zipfile.ZipFile(path, "w") as archive:
        program = f"}}Vw\n{tensor}({tensor}I0\n(I1000000000\nt(I1\nttbs."
        archive.writestr("archive/data.pkl", b"\x80\x02" + program.encode())
        archive.writestr("archive/data/0", bytes(16))
    with pytest.raises(InputError, match=r"stretched\.pt: refused, .*Tensor\.__setstate__"):
        read_checkpoint(path)


def test_the_number_of_a_memo_entry_asks_for_no_memory(tmp_path):
    # In the unpickler written in C this takes 32 GiB.
    path = tmp_path / "memo.pt"
    as_legacy(path, b"\x80\x02}r\xff\xff\xff\x7fcos\nsystem\n)R.")
    with pytest.raises(InputError, match=r"memo\.pt: refused, .*os\.system"):
        read_checkpoint(path)


@pytest.mark.parametrize("claim", [2**20, 2**40, 2**62])
def test_a_text_cannot_be_longer_than_the_file(tmp_path, claim):
    for opcode in (b"\x8d", b"\x8e", b"\x96"):  # BINUNICODE8, BINBYTES8, BYTEARRAY8
        path = tmp_path / "long.pt"
        as_legacy(path, b"\x80\x05" + opcode + claim.to_bytes(8, "little") + b"abc.")
        with pytest.raises(InputError, match=r"long\.pt: not a readable checkpoint"):
            read_checkpoint(path)


def test_wrappers_that_share_and_contain_themselves_end(tmp_path):
    # Each of twelve keys leads to the same dict, ten levels deep: followed one by one, 10^10 ways.
    inner = {"epoch": 1}
    for _ in range(10):
        inner = {key: inner for key in WRAPPERS}
    inner["model"]["state_dict"]["model"] = inner
    torch.save(inner, tmp_path / "maze.pt")
    with pytest.raises(InputError, match=r"maze\.pt: no weights found"):
        read_checkpoint(tmp_path / "maze.pt")


def test_an_encoding_is_no_way_to_a_codec(tmp_path):
    path = tmp_path / "codec.pt"
    as_legacy(path, b"c_codecs\nencode\n(Vabc\nVbz2_codec\ntR.")
    with pytest.raises(InputError, match=r"_codecs\.encode\('abc', 'bz2_codec'\)"):
        read_checkpoint(path)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": 1}))
        archive.writestr("archive/data/0", bytes(50_000_000))
    with pytest.raises(InputError, match=r"bomb\.pt.*more than the file holds"):
        read_checkpoint(path)


@pytest.mark.parametrize("size, stride", [((10**6, 10**6), (0, 0)), ((5,), (1,)), ((-1,), (1,))])
def test_a_tensor_larger_than_its_storage_is_refused(tmp_path, size, stride):
    class Tensor:
        def __reduce__(self):
            storage = torch.zeros(4).untyped_storage()
            return torch._utils._rebuild_tensor_v2, (storage, 0, size, stride, False, None)

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, torch.UntypedStorage):
                return ("storage", torch.FloatStorage, "0", "cpu", 4)
            return None

    program = io.BytesIO()
    Pickler(program, 2).dump({"w": Tensor(), "x": Call(set)})
    path = tmp_path / "stretched.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program.getvalue())
        archive.writestr("archive/data/0", bytes(16))
    with pytest.raises(InputError, match=r"stretched\.pt: not a readable checkpoint"):
        read_checkpoint(path)


def test_containers_keep_their_methods(tmp_path):
    # OrderedDict() whose `get` is replaced by os.system: what is set on it is dropped.
    path = tmp_path / "shadow.pt"
    program = b"ccollections\nOrderedDict\n)\x81}Vget\ncos\nsystem\nsb."
    as_archive(path, b"\x80\x02" + program)
    with pytest.raises(InputError, match=r"shadow\.pt: no weights found"):
        read_checkpoint(path)


def test_weights_far_larger_than_the_file(tmp_path):
    path = tmp_path / "stretched.pt"
    tensor = torch.ones(1).expand(2**20)
    torch.save({f"layer{i}.weight": tensor for i in range(5)}, path)
    with pytest.raises(InputError, match=r"stretched\.pt: its weights are far larger than the fi"):
        read_checkpoint(path)


def test_a_legacy_file_cannot_claim_more_than_it_holds(tmp_path):
    path = tmp_path / "claims.pt"
    storages = "".join(
        f"Va{i}\nctorch._utils\n_rebuild_tensor_v2\n"
        f"((Vstorage\nctorch\nFloatStorage\nV{i}\nVcpu\nI100\ntQI0\n(I100\nt(I1\ntI00\nNtRs"
        for i in range(50)
    )
    as_legacy(path, b"\x80\x02}" + storages.encode() + b".")
    with pytest.raises(InputError, match=r"claims\.pt: .*claims 100 numbers, more than"):
        read_checkpoint(path)

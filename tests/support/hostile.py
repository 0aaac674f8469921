"""Checkpoints of ill will, and damaged ones: each case writes one file that no import may take.

A file that runs code would create `marker`; nothing else here is dangerous to who reads it with torch's weights_only.
"""

from __future__ import annotations

import argparse
import io
import pickle
import pickletools
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Case = tuple[Callable[[Path, Path], None], str]  # writes (file, marker); what the sentence says
CASES: dict[str, Case] = {}


def content() -> dict[str, Any]:
    """A small checkpoint that is read without complaint."""
    image = OrderedDict({"fc.weight": torch.ones(4, 3), "fc.bias": torch.ones(4)})
    text = OrderedDict({"embed.weight": torch.ones(5, 2)})
    return {"model": [image, text], "opt": argparse.Namespace(margin=0.2, measure="cosine"), "epoch": 3}


def add(name: str, said: str, change: Callable[[dict[str, Any]], object], **options: Any) -> None:
    """A case that torch.save writes of the good content after `change`."""

    def write(path: Path, marker: Path) -> None:
        checkpoint = content()
        change(checkpoint)
        torch.save(checkpoint, path, **options)

    CASES[name] = (write, said)


def archive(
    path: Path, data: bytes, *, compress: int = zipfile.ZIP_STORED, more: dict[str, bytes] | None = None
) -> None:
    """A file of torch's layout around the pickle `data`."""
    with zipfile.ZipFile(path, "w", compress) as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/byteorder", b"little")
        for name, text in (more or {}).items():
            file.writestr(name, text)
        file.writestr("archive/version", b"3\n")


def add_pickle(name: str, said: str, data: bytes | Callable[[Path], bytes], **options: Any) -> None:
    """A case of which the pickle is written by hand."""
    CASES[name] = (lambda path, marker: archive(path, data(marker) if callable(data) else data, **options), said)


# --- what would run ---------------------------------------------------------------------------------------------------


def calling(module: str, name: str, *arguments: str) -> bytes:
    """A pickle that calls `module.name` with texts when it is opened."""
    texts = b"".join(pickle.BINUNICODE + struct.pack("<I", len(t.encode())) + t.encode() for t in arguments)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + texts + b"tR."


CALLS = {
    "posix system": ("posix", "system", "touch {marker}"),
    "os system": ("os", "system", "touch {marker}"),
    "subprocess": ("subprocess", "getoutput", "touch {marker}"),
    "eval": ("__builtin__", "eval", "open({marker!r}, 'w')"),
    "exec": ("builtins", "exec", "open({marker!r}, 'w')"),
    "open": ("io", "open", "{marker}", "w"),
    "getattr": ("builtins", "getattr", "{marker}", "x"),
    "import": ("importlib", "import_module", "this"),
    "os.mkdir": ("posix", "mkdir", "{marker}"),
    "rmtree": ("shutil", "rmtree", "{marker}"),
    "pathlib": ("pathlib", "Path", "{marker}"),
    "torch.load": ("torch.serialization", "load", "{marker}"),
    "torch.hub": ("torch.hub", "load", "{marker}", "x"),
    "numpy.load": ("numpy", "load", "{marker}"),
    "our own code": ("lgsf.system.files", "write_text", "{marker}", "x"),
    "a namespace that is none": ("types", "SimpleNamespace"),
    "bytearray": ("__builtin__", "bytearray", "x"),
    "a sparse tensor": ("torch._utils", "_rebuild_sparse_tensor", "x"),
    "a tensor without storage": ("torch._utils", "_rebuild_meta_tensor_no_storage", "x"),
    "a wrapped tensor": ("torch._utils", "_rebuild_wrapper_subclass", "x"),
    "a tensor of numpy": ("torch._utils", "_rebuild_device_tensor_from_numpy", "x"),
}


def _add_call(name: str, call: tuple[str, ...]) -> None:
    def data(marker: Path) -> bytes:
        return calling(*(part.format(marker=str(marker)) for part in call))

    said = r"names \S+, which is neither weights nor plain options; nothing of the file was run"
    add_pickle(f"runs {name}", said, data)
    if name in ("posix system", "eval", "getattr", "pathlib"):
        # In the older layout, which begins with three pickles of its own.
        def write(path: Path, marker: Path) -> None:
            good = io.BytesIO()
            torch.save(content(), good, _use_new_zipfile_serialization=False)
            good.seek(0)
            ends = [list(pickletools.genops(good))[-1][2] + 1 for _ in range(3)]
            path.write_bytes(good.getvalue()[: ends[-1]] + data(marker))

        CASES[f"runs {name}, older layout"] = (write, said)


for _name, _call in CALLS.items():
    _add_call(_name, _call)

# --- tensors that are not what they seem ------------------------------------------------------------------------------


def weight(tensor: Callable[[], torch.Tensor], name: str = "fc.weight") -> Callable[[dict[str, Any]], object]:
    return lambda c: c["model"][0].update({name: tensor()})


BARE = r"'img_enc.fc.weight' (is a sparse, nested or quantized tensor|is on the device meta)|names torch\._utils"
add("stride 0", "over fewer stored numbers", weight(lambda: torch.ones(1, 1).expand(10**5, 10**6)))
add("overlapping strides", "over fewer stored numbers", weight(lambda: torch.ones(9).as_strided((8, 8), (0, 1))))
add("one bias for all", "over fewer stored numbers", weight(lambda: torch.ones(1).expand(10**12), "fc.bias"))
add("sparse", BARE, weight(lambda: torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), [1.0], (10**6, 10**6))))
add("sparse rows", BARE, weight(lambda: torch.eye(3).to_sparse_csr()))
add("quantized", BARE, weight(lambda: torch.quantize_per_tensor(torch.ones(4, 3), 0.1, 0, torch.qint8)))
add("meta", BARE, weight(lambda: torch.empty(10**6, 10**6, device="meta")))
add("nested", "names|nested", weight(lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])))
for _kind in ("complex64", "int32", "int64", "int8", "uint8", "bool"):
    add(f"weights of {_kind}", f"is of type torch.{_kind}, and weights are real",
        weight(lambda kind=_kind: torch.ones(4, 3, dtype=getattr(torch, kind))))  # fmt: skip
add("not a number", "holds a value that is not finite", weight(lambda: torch.full((4, 3), torch.nan)))
add("infinite", "holds a value that is not finite", weight(lambda: torch.full((4, 3), -torch.inf)))
add(
    "a double too large",
    "holds a value that is not finite",
    weight(lambda: torch.full((4, 3), 1e200, dtype=torch.float64)),
)


def _shared(c: dict[str, Any]) -> None:
    numbers = torch.ones(10**6)
    c["model"][0].update({f"w{k}": numbers for k in range(2000)})


add("two thousand views of one", "share their numbers", _shared)


def rebuilt(size: str, stride: str, offset: str = "K\x00", numel: int = 12) -> bytes:
    """A state dict of one tensor whose shape is written by hand over twelve stored numbers."""
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ"
        + struct.pack("<i", numel) + b"tQ"
    )  # fmt: skip
    parts = [part.encode("latin-1") for part in (offset, size, stride)]
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"".join(parts)
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )


HUGE = "\x8a\x08" + "\x00" * 7 + "\x40"  # 2**62
UNREAD = "cannot be read as torch weights|is not a checkpoint with"
NUMBERS = {"archive/data/0": np.ones(12, np.float32).tobytes()}
add_pickle("a shape that overflows", UNREAD, rebuilt(f"{HUGE}{HUGE}\x86", "K\x01K\x01\x86"), more=NUMBERS)
add_pickle("a negative shape", UNREAD, rebuilt("J\xff\xff\xff\xff\x85", "K\x01\x85"), more=NUMBERS)
add_pickle("beyond its storage", UNREAD, rebuilt("K\x63\x85", "K\x01\x85"), more=NUMBERS)
add_pickle("an offset behind its storage", UNREAD, rebuilt("K\x02\x85", "K\x01\x85", HUGE), more=NUMBERS)
add_pickle("a negative stride", UNREAD, rebuilt("K\x02\x85", "J\xff\xff\xff\xff\x85"), more=NUMBERS)
add_pickle("a storage larger than stored", UNREAD, rebuilt("K\x02\x85", "K\x01\x85", numel=2**31 - 1), more=NUMBERS)
add_pickle("a storage that is absent", UNREAD, rebuilt("K\x02\x85", "K\x01\x85"))

# --- options and numbers ----------------------------------------------------------------------------------------------


def option(value: Callable[[], Any], name: str = "margin") -> Callable[[dict[str, Any]], object]:
    return lambda c: setattr(c["opt"], name, value())


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _doubling(kind: Callable[[Any], Any], levels: int) -> Any:
    item: Any = kind(["x", "x"])
    for _ in range(levels):
        item = kind([item, item])
    return item


def _itself(c: dict[str, Any]) -> None:
    c["opt"].margin = c["opt"]


PLAIN = r"the option '\w+' is a \w+ that is no plain text, number or list of them"
add("options that name themselves", PLAIN, option(_circle))
add("options inside themselves", PLAIN, _itself)
add("a list that doubles", PLAIN, option(lambda: _doubling(list, 60)))
add("a tuple that doubles", "nested into millions", option(lambda: _doubling(tuple, 60)))
_LEVELS = b"".join(b"q" + bytes([k]) + b"h" + bytes([k]) + b"\x86" for k in range(60))
add_pickle("a key that doubles", "nested into millions", b"\x80\x02}K\x01K\x02\x86" + _LEVELS + b"K\x01s.")
add("options of options", PLAIN, option(lambda: {"a": {"b": 1}}))
add("an option of many numbers", PLAIN, option(lambda: torch.ones(10**5)))
add("a text without end", "holds a text of 2000000 letters", option(lambda: "x" * 2_000_000))
add("a long text", PLAIN, option(lambda: "x" * 50_000))
add("options under numbers", "is no name of an option", lambda c: vars(c["opt"]).update({7: 1}))  # type: ignore[call-overload]
COUNTING = "whole number beyond all counting"
add("epoch 10^400", COUNTING, lambda c: c.update(epoch=10**400))
add("steps 2^70", COUNTING, lambda c: c.update(Eiters=2**70))
add("an option of 10^400", COUNTING, option(lambda: 10**400))
add("an option of 10^6 digits", COUNTING, option(lambda: 2 ** (3 * 10**6)))

# --- another structure ------------------------------------------------------------------------------------------------

add("weights twice", "stand there twice", lambda c: c["model"][0].update({"module.fc.weight": torch.ones(4, 3)}))
add("weights under numbers", "whose name is no text", lambda c: c["model"][0].update({3: torch.ones(1)}))
add("a list among weights", "is not a state dict of tensors", lambda c: c["model"][0].update(x=[1]))
add("one part", "is not the list", lambda c: c.update(model=c["model"][:1]))
add("options as a dict", "is not a checkpoint with", lambda c: c.update(opt={"margin": 0.2}))
add("no options", "is not a checkpoint with", lambda c: c.pop("opt"))
add("no model", "is not the list", lambda c: c.pop("model"))

# --- archives and files -----------------------------------------------------------------------------------------------


def _bomb(path: Path, marker: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        with file.open("archive/data/0", "w", force_zip64=True) as part:
            for _ in range(256):
                part.write(b"\0" * 2**20)


def _rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    def write(path: Path, marker: Path) -> None:
        torch.save(content(), path)
        path.write_bytes(change(path.read_bytes()))

    return write


def _overlapping(data: bytes) -> bytes:
    """The directory says of every part that it is as large as the file."""
    out, place = bytearray(data), 0
    while (place := data.find(b"PK\x01\x02", place)) >= 0:
        struct.pack_into("<II", out, place + 20, len(data), len(data))
        place += 4
    return bytes(out)


def _encrypted(data: bytes) -> bytes:
    out, place = bytearray(data), 0
    while (place := data.find(b"PK\x01\x02", place)) >= 0:
        out[place + 8] |= 1
        place += 4
    return bytes(out)


def _twice(path: Path, marker: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        file.writestr("archive/DATA.pkl", calling("posix", "system", f"touch {marker}"))


def _tar(path: Path, marker: Path) -> None:
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("sys_info"), io.BytesIO())


def _legacy_storage(path: Path, marker: Path) -> None:
    """The older layout, whose storage says that it holds 2^40 numbers."""
    torch.save(content(), path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"K\x0cN", b"\x8a\x06" + b"\0" * 5 + b"\x01N", 1).replace(b"K\x0ctq", b"\x8a\x06\0\0\0\0\0\x01tq")
    )


CASES |= {
    "a deflated bomb": (_bomb, "is compressed, as torch never writes"),
    "parts over one another": (_rewritten(_overlapping), "lie over one another|cannot be read"),
    "encrypted": (_rewritten(_encrypted), "is encrypted|cannot be read"),
    "two pickles": (_twice, "two parts of one name"),
    "half of a file": (_rewritten(lambda data: data[: len(data) // 2]), "cannot be read as torch weights"),
    "its end alone": (_rewritten(lambda data: data[len(data) // 2 :]), "cannot be read|without torch's data.pkl"),
    "zeros": (lambda path, marker: path.write_bytes(b"\0" * 10**6) and None, "cannot be read as torch weights"),
    "nothing": (lambda path, marker: path.touch(), "cannot be read as torch weights"),
    "a page": (lambda path, marker: path.write_text("<html>not found</html>") and None, "cannot be read as torch weights"),
    "a tar": (_tar, "cannot be read as torch weights"),
    "arrays": (lambda path, marker: _npz(path), "without torch's data.pkl"),
    "a storage of 2^40 numbers": (_legacy_storage, "cannot be read as torch weights"),
    "a folder": (lambda path, marker: path.mkdir(), "is missing"),
}  # fmt: skip


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.ones(3))


add_pickle("a pickle of nine million bytes", "take 9437184 bytes", b"\x80\x02" + b"N" * (9 * 2**20 - 3) + b".")
add_pickle("a pickle of two million steps", "longer than those of any model", b"\x80\x02" + b"N0" * 10**6 + b"N.")
add_pickle("a pickle from an empty stack", UNREAD, b"\x80\x02tR.")
add_pickle("a pickle of what was never kept", UNREAD, b"\x80\x02h\x07.")
add_pickle("a pickle without end", UNREAD, b"\x80\x02N")
add_pickle("an unknown step", UNREAD, b"\x80\x02\xff.")
add_pickle("names from the stack", "names things in a way", b"\x80\x04\x8c\x05posix\x8c\x06system\x93.")
add_pickle("a slow encoding", "in an encoding that no", calling("_codecs", "encode", "x" * 10**5, "puny-code"))
add_pickle("an extension", "names things in a way", b"\x80\x02\x82\x01.")

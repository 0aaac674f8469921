"""Files of torch from strangers: read so that nothing of them is run and none can eat the time or memory of a machine.

torch's own reader (`weights_only`) runs nothing. Before it sees a file, this module looks at the archive and at the
pickle inside: what it names, how far nested tuples spread out, how long its numbers are. After it, every tensor is
held against the bytes that stand in the file, so that none is larger than what was stored.
"""

from __future__ import annotations

import argparse
import math
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from lgsf.system.errors import LgsfError
from lgsf.system.names import shown

_SCALAR = np.float64(0).__reduce__()[0]  # what makes a numpy number of its bytes
HARMLESS: list[Any] = [
    argparse.Namespace,
    *((_SCALAR, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
]
# All that a checkpoint of plain tensors and plain options names.
NAMED = re.compile(
    r"collections OrderedDict|torch Size|torch(\.cuda)? \w+Storage|torch\.nn\.parameter Parameter"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|argparse Namespace|numpy dtype"
    r"|numpy\.(core|_core)\.multiarray scalar|_codecs encode"
)
MEMBERS = 100_000  # of an archive
PICKLE = 8 * 2**20  # bytes; the names and options of a model of this field are a hundredth of that
STEPS = 300_000  # of a pickle; a BERT has twenty thousand
SPREAD = 100_000  # items of a nested tuple, counted as often as they are reached
LONGEST_TEXT = 2**20
LEGACY_PICKLES = 5  # of a file in torch's older format: magic, version, system, content, keys
NUMBER_BITS = 80  # torch's own magic number has 77
COUNTERS = ("num_batches_tracked", "position_ids")  # whole numbers in a state dict; no score depends on them


def read_untrusted(path: Path) -> Any:
    """What a file of torch.save holds; LgsfError, and nothing of it was run, where it is anything but plain."""
    if not path.is_file():
        raise LgsfError(f"{path} is missing: check its name.")
    _look_at(path)
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the old format
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may fail anywhere in the reader
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise _foreign(path, named[1]) from None
        raise _unreadable(path, error) from None


def check_size(path: Path, name: str, tensor: Tensor) -> None:
    """LgsfError for a tensor that holds no numbers of its own, or more than are stored for it."""
    said = f"{path}: {shown(name)}"
    if tensor.is_quantized or tensor.is_sparse or tensor.layout != torch.strided or tensor.is_nested:
        raise LgsfError(f"{said} is a sparse, nested or quantized tensor: save the model's plain float32 weights.")
    if tensor.device.type != "cpu":
        raise LgsfError(f"{said} is on the device {tensor.device} and holds no numbers: save the weights themselves.")
    counts = tensor.dtype == torch.int64 and name.rpartition(".")[2] in COUNTERS
    if tensor.is_complex() or not (tensor.is_floating_point() or counts):
        raise LgsfError(f"{said} is of type {tensor.dtype}, and weights are real numbers: save them as float32.")
    if math.prod(tensor.shape) * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise LgsfError(
            f"{said} has the shape {tuple(tensor.shape)} over fewer stored numbers: the file repeats them, save each "
            "weight with .contiguous()."
        )


def plain_weight(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A checked tensor as float32, or as whole numbers where it only counts; LgsfError for what is not finite."""
    tensor = tensor.detach()
    plain = tensor.float() if tensor.is_floating_point() else tensor
    if not plain.isfinite().all():
        raise LgsfError(
            f"{path}: {shown(name.partition('.')[2])} holds a value that is not finite: such a model cannot be ranked."
        )
    return plain


def check_total(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """LgsfError where the tensors together are much larger than the file, that is, where they share their numbers."""
    total = sum(math.prod(tensor.shape) * tensor.element_size() for tensor in tensors.values())
    if total > 4 * path.stat().st_size:  # tied weights are stored once
        raise LgsfError(f"{path}: its tensors share their numbers, {total} bytes of them: save each weight by itself.")


def plain_options(path: Path, options: Mapping[Any, Any]) -> dict[str, Any]:
    """The authors' options: text, numbers, truth values, and lists of those; LgsfError for anything else."""
    plain: dict[str, Any] = {}
    for name, value in options.items():
        if not isinstance(name, str) or len(name) > 200:
            raise LgsfError(f"{path}: {shown(str(type(name).__name__))} is no name of an option; check the file.")
        plain[name] = _plain(path, name, value)
    return plain


def _plain(path: Path, name: str, value: Any, *, inside: bool = False) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout == torch.strided
        and value.numel() == 1
    ):
        value = value.item()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str) and len(value) <= 10_000:
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    if isinstance(value, list | tuple) and not inside and len(value) <= 1000:
        return [_plain(path, name, item, inside=True) for item in value]
    raise LgsfError(
        f"{path}: the option {shown(name)} is a {type(value).__name__} that is no plain text, number or list of them: "
        "let the authors save plain options."
    )


def stored_number(path: Path, name: str, value: Any, kind: type) -> Any:
    """A stored number as plain `kind`; None where there is none or it is not finite. LgsfError for one too large."""
    if (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout == torch.strided
        and value.numel() == 1
    ):
        value = value.item()
    if isinstance(value, np.number):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and value.bit_length() >= 64:
        raise LgsfError(f"{path}: {name!r} is a whole number beyond all counting: check the file.")
    return kind(value) if math.isfinite(value) and abs(value) < 2**63 else None


def _look_at(path: Path) -> None:
    """LgsfError for an archive or a pickle that is not of the kind that torch.save writes."""
    with path.open("rb") as file:
        try:
            if zipfile.is_zipfile(file):
                _look_at_archive(path, file)
                return
            file.seek(0)
            for _ in range(LEGACY_PICKLES):
                _look_at_pickle(path, file)
        except LgsfError:
            raise
        except (ValueError, EOFError, OSError, MemoryError, OverflowError, LookupError, NotImplementedError,
                struct.error, zipfile.BadZipFile, RuntimeError) as error:  # fmt: skip
            raise _unreadable(path, error) from None


def _look_at_archive(path: Path, file: IO[bytes]) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS:
            raise LgsfError(f"{path} is an archive of {len(members)} parts, which no model of this field has.")
        if packed := [member for member in members if member.compress_type != zipfile.ZIP_STORED]:
            raise LgsfError(
                f"{path}: its part {shown(packed[0].filename)} is compressed, as torch never writes one: unpack the file "
                "and save it again with torch.save."
            )
        if any(member.flag_bits & 1 for member in members):
            raise LgsfError(f"{path} is encrypted: give the open file.")
        if sum(member.file_size for member in members) > size:
            raise LgsfError(f"{path}: its parts lie over one another, as torch never writes them: copy it again.")
        names = [member.filename.lower() for member in members]
        if len(set(names)) < len(names):
            raise LgsfError(f"{path} has two parts of one name, as torch never writes them: copy it again.")
        pickles = [member for member in members if member.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise LgsfError(f"{path} is an archive without torch's data.pkl: it is no file of torch.save.")
        if pickles[0].file_size > PICKLE:
            raise LgsfError(f"{path}: its options and names take {pickles[0].file_size} bytes: it is no checkpoint.")
        with archive.open(pickles[0]) as inner:
            _look_at_pickle(path, inner)


def _look_at_pickle(path: Path, file: IO[bytes]) -> None:
    """Walk over one pickle without running it; the file then stands behind it.

    What stands on the stack is followed by its size alone: a tuple counts its items as often as they are reached,
    since torch's reader may have to hash it.
    """
    mark = pickletools.markobject
    stack: list[Any] = []
    memo: dict[Any, int] = {}
    texts: list[str] = []
    encodes = False
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if step > STEPS:
            raise LgsfError(f"{path}: its options and names are longer than those of any model: it is no checkpoint.")
        name = opcode.name
        if name in ("GLOBAL", "INST") and not NAMED.fullmatch(str(argument)):
            raise _foreign(
                path, ".".join(str(argument).split(" ", 1)).removeprefix("__builtin__.").removeprefix("builtins.")
            )
        if name == "STACK_GLOBAL" or name.startswith(("EXT", "NEXT_BUFFER")):
            raise LgsfError(f"{path} names things in a way that torch.save does not: it is no file of torch.save.")
        encodes |= argument == "_codecs encode"
        if isinstance(argument, int) and argument.bit_length() > NUMBER_BITS:
            raise LgsfError(f"{path} holds a whole number beyond all counting: it is no checkpoint of this field.")
        if isinstance(argument, str):
            texts.append(argument[:20].lower())
            if len(argument) > LONGEST_TEXT:
                raise LgsfError(f"{path} holds a text of {len(argument)} letters: it is no checkpoint of this field.")
        _follow(name, opcode, argument, stack, memo, mark)
        if stack and stack[-1] is not mark and stack[-1] > SPREAD:
            raise LgsfError(
                f"{path}: its options are nested into millions of items: it is no checkpoint of this field."
            )
    if encodes and any(re.sub("[^a-z]", "", text) in ("punycode", "idna") for text in texts):
        raise LgsfError(f"{path} holds text in an encoding that no checkpoint has.")


def _follow(name: str, opcode: Any, argument: Any, stack: list[Any], memo: dict[Any, int], mark: Any) -> None:
    """One step of a pickle on a stack of sizes."""
    if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
        memo[len(memo) if argument is None else argument] = stack[-1]
        return
    before, after = list(opcode.stack_before), [1] * len(opcode.stack_after)
    taken: list[Any] = []
    if mark in before or (name == "POP" and stack and stack[-1] is mark):
        while (item := stack.pop()) is not mark:
            taken.append(item)
        before = before[: before.index(mark)] if mark in before else []
    for _ in before:
        taken.append(stack.pop())
    if name in ("GET", "BINGET", "LONG_BINGET"):
        after = [memo[argument]]
    elif name == "MARK":
        after = [mark]
    elif name.startswith("TUPLE") or name in ("REDUCE", "NEWOBJ"):
        after = [1 + sum(item for item in taken if item is not mark)]
    stack.extend(after)


def _foreign(path: Path, named: str) -> LgsfError:
    return LgsfError(
        f"{path} names {shown(named, 120)[1:-1]}, which is neither weights nor plain options; nothing of the file was "
        "run, and it is refused: get it from its authors, or let them save tensors and argparse.Namespace alone."
    )


def _unreadable(path: Path, error: Exception) -> LgsfError:
    reason = str(error).strip().split("\n")[-1].strip()
    return LgsfError(f"{path} cannot be read as torch weights ({type(error).__name__}: {reason[:160]}): copy it again.")

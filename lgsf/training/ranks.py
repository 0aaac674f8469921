"""The processes that train one run together: who this one is, what it exchanges with the others, what all agree on.

A rank encodes its share of a batch; embeddings, tokens and image ids are gathered, every rank computes the loss of the
whole batch, and gradients are averaged (lgsf.models.kernels.collective says why that is the gradient of one process).
Dropout: what the encoders draw comes from a stream of each rank, a function of (seed, epoch, rank); what the loss draws
comes from the one stream that all ranks have in common. So without dropout in the encoders all draws are those of one
process; with it they have the same distribution.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from lgsf.config.run_settings import RunSettings
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.host import on_host, remember
from lgsf.models.base import Encoded
from lgsf.models.device import own_device
from lgsf.models.kernels.collective import ALONE, World, exchanging, gather, joint, spread
from lgsf.system.errors import LgsfError
from lgsf.training.resume import rng_state, set_rng_state

SOCKET = "LGSF_LAUNCHER"  # the variable with the number of the socket to lgsf.training.launch
PATIENCE = timedelta(days=2)  # the first rank looks at dev while the others wait; a dead one is noticed by its launcher


class Ranks:
    """This process among those that train one run; alone, everything here leaves its arguments as they are."""

    def __init__(self, world: World, device: torch.device) -> None:
        self.world, self.device = world, device
        self._own: Mapping[str, Tensor] | None = None

    @property
    def first(self) -> bool:
        """Whether this is the rank that holds the run's folder: the only one that writes, logs and looks at dev."""
        return self.world.rank == 0

    @property
    def alone(self) -> bool:
        return self.world.size == 1

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Start this rank's own random stream anew, so that a resumed epoch draws what the broken one drew."""
        if self.alone:
            return
        digest = hashlib.sha256(f"{seed}/{epoch}/{self.world.rank}".encode()).digest()
        number = int.from_bytes(digest[:7], "big")
        self._own = {
            name: torch.Generator(device).manual_seed(number).get_state()
            for name, device in (("cpu", torch.device("cpu")), (self.device.type, self.device))
        }

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Inside, samples are this rank's share of the batch: norms count all samples, draws are the rank's own."""
        if self._own is None:
            yield
            return
        common = rng_state(self.device)
        set_rng_state(self._own, self.device)
        with spread(self.world):
            yield
        self._own = rng_state(self.device)
        set_rng_state(common, self.device)

    def comparing(self) -> AbstractContextManager[None]:
        """Inside, samples are those of the whole batch."""
        return joint(self.world)

    def whole_batch(self, batch: Batch, *, regions: bool) -> Batch:
        """The batch of all ranks from this one's share; without `regions`, those and boxes are shapes alone."""
        if self.alone:
            return batch
        longest = self._largest([batch.regions.shape[1], batch.tokens.shape[1]])
        pictures = {"regions": batch.regions, "boxes": batch.boxes}
        words = {"region_mask": batch.region_mask, "tokens": batch.tokens, "token_mask": batch.token_mask}
        widths = dict(zip(("regions", "tokens"), longest, strict=True))
        changed: dict[str, Tensor] = {}
        for name, own in (pictures | words).items():
            if own is None:
                continue
            width = widths["tokens" if name in ("tokens", "token_mask") else "regions"]
            if name in pictures and not regions:
                changed[name] = torch.empty(self.world.size * len(own), width, *own.shape[2:], device="meta")
            elif own.dtype == torch.bool:
                changed[name] = self._known_rows(own, width)
            else:
                changed[name] = self._rows(_widened(own, width))
        return replace(batch, image_ids=self._known_rows(batch.image_ids), **changed)

    def whole(self, images: Encoded, texts: Encoded) -> tuple[Encoded, Encoded]:
        """The samples of all ranks from this one's, in the order of the batch; gradients find their way back."""
        if self.alone:
            return images, texts
        sides = (images, texts)
        lengths = [0 if side.mask is None else side.mask.shape[1] for side in sides]
        longest = self._largest(lengths) if any(lengths) else lengths
        whole = []
        for side, length in zip(sides, longest, strict=True):
            fragments = mask = None
            if side.fragments is not None and side.mask is not None:
                fragments = gather(_widened(side.fragments, length), self.world)
                mask = self._known_rows(side.mask, length)
            vector = None if side.vector is None else gather(side.vector, self.world)
            whole.append(Encoded(vector=vector, fragments=fragments, mask=mask))
        return whole[0], whole[1]

    def average_gradients(self, module: nn.Module) -> None:
        """Replace the gradients by their mean over the ranks; a parameter that has none keeps none."""
        if self.alone:
            return
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        # One exchange, whose size does not depend on which parameters a step has used.
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        with exchanging():
            dist.all_reduce(flat)
        flat /= self.world.size
        for parameter, mean in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(mean.view_as(parameter))

    def numbers(self, own: Sequence[float]) -> list[list[float]]:
        """The numbers of every rank, as many of each."""
        if self.alone:
            return [list(own)]
        return self._rows(torch.tensor([own], dtype=torch.float64)).tolist()

    def texts(self, own: str) -> list[str]:
        """The text of every rank, of up to 2**15 bytes."""
        if self.alone:
            return [own]
        line = own.encode().ljust(2**15)
        return [
            bytes(row).decode().rstrip() for row in self._rows(torch.tensor([list(line)], dtype=torch.uint8)).tolist()
        ]

    def agree(self, text: str, what: str) -> None:
        """LgsfError unless all ranks say the same `text`."""
        if self.alone:
            return
        own = torch.tensor([list(hashlib.sha256(text.encode()).digest())])
        different = (self._rows(own) != own).any(1).nonzero().flatten().tolist()
        if different:
            raise LgsfError(
                f"the {self.world.size} processes of this training do not have the same {what} "
                f"(process {self.world.rank} differs from {', '.join(map(str, different))}): see that all read the same "
                "files with the same versions of everything, and run the same command again."
            )

    def wait(self) -> None:
        """Until all ranks are here."""
        self.agree("", "")

    def _largest(self, own: Sequence[int]) -> list[int]:
        """The largest number at each place; on the CPU, so that no GPU is waited for."""
        largest = torch.tensor(own)
        with exchanging():
            dist.all_reduce(largest, dist.ReduceOp.MAX)
        return largest.tolist()

    def _known_rows(self, own: Tensor, width: int | None = None) -> Tensor:
        """`_rows`, which the host knows as well, so that nobody asks the device (lgsf.data.batches.host)."""
        here = on_host(own)
        wide, wide_here = (x if width is None else _widened(x, width) for x in (own, here))
        there = self._rows(wide)
        return there if there.device.type == "cpu" else remember(there, self._rows(wide_here))

    def _rows(self, own: Tensor) -> Tensor:
        """`gather` without a gradient, of any dtype."""
        with torch.no_grad():
            bits = own.to(torch.uint8) if own.dtype == torch.bool else own
            return gather(bits, self.world).to(own.dtype)


@contextmanager
def joined(processes: int, device: torch.device) -> Iterator[Ranks]:
    """This process as one of `processes`, which find each other through the variables that torchrun sets."""
    if processes == 1:
        yield Ranks(ALONE, device)
        return
    if dist.is_initialized():  # by whoever trains several runs in the same processes
        yield Ranks(World(dist.get_rank(), dist.get_world_size()), device)
        return
    with exchanging():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    yield Ranks(World(dist.get_rank(), dist.get_world_size()), device)
    dist.destroy_process_group()  # not after an exception: peers that are gone would be waited for


def started_as_rank(processes: int, config: object) -> bool:
    """Whether torchrun, or our launcher, started this process as one of several.

    Raises LgsfError where it was started as one of another number than the settings say.
    """
    started = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ and "MASTER_ADDR" in os.environ else 1
    if started in (1, processes):
        return started > 1
    raise LgsfError(
        f"{config} says processes: {processes} and {started} were started (WORLD_SIZE): start as many, or set "
        f"processes: {started} in the configuration and run the configure step again."
    )


def device_of_rank(settings: RunSettings) -> torch.device:
    """Where this process computes: the CPU, a GPU that nobody else of ours has or, by torchrun, that of its number."""
    if settings.device != "cuda" or settings.processes == 1:
        return own_device(settings.device)
    if SOCKET in os.environ:  # of our launcher, beside which others may be at work
        return own_device("cuda", share=False)
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def checksum(module: nn.Module) -> str:
    """Of all weights and buffers, bit by bit."""
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _widened(x: Tensor, width: int) -> Tensor:
    """Padded with zeros to `width` in the second axis: (n, length, ...) -> (n, width, ...)."""
    missing = width - x.shape[1]
    return x if missing == 0 else F.pad(x, (*[0] * (2 * (x.ndim - 2)), 0, missing))

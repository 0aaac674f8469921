"""What a step of training and of dev costs a method: measured on made-up data of the true size, in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median

import numpy as np
import torch

from lgsf.config.run_settings import RunSettings
from lgsf.data.batches.batch import Batch
from lgsf.data.text import Vocabulary
from lgsf.estimating.sizes import DataSize
from lgsf.metrics.ranking import rank
from lgsf.models.base import DataSpec, Method, Progress
from lgsf.models.build import check_settings, make_repeatable, method_class, parameters_of
from lgsf.models.scoring import IMAGE_BATCH, IMAGE_TILE, TEXT_BATCH, TEXT_TILE, TiledScores
from lgsf.pretrained.files import word_vectors_name
from lgsf.pretrained.read import read_pretrained
from lgsf.runs.provenance import peak_gpu_memory_mb, peak_memory_mb
from lgsf.system.errors import LgsfError
from lgsf.training.optimizer import build_optimizer

WORDS = (9, 17)  # shortest and longest made-up caption with its frame; COCO's mean is 12.5


@dataclass(frozen=True)
class Cost:
    """Seconds of a training step, of one look at dev, and of ranking dev and test; MiB at most; weights.

    None is what was not measured.
    """

    step: float
    dev: float | None = None
    evaluation: float | None = None
    memory_mb: float | None = None
    weights: int | None = None


def measured(settings: RunSettings, size: DataSize, *, device: str, steps: int) -> Cost:
    """`measure` in a process of its own, so that its peak is its own. LgsfError where the method does not fit."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, settings.plain(), size, device, steps), daemon=True)
    process.start()
    sender.close()  # the process alone holds it now: its end is seen, and it sees ours
    batch = settings.training.batch_size
    try:
        found = receiver.recv()
    except EOFError:
        raise LgsfError(
            f"the process that measured a step of {settings.method!r} was ended by the system, mostly for want of memory: "
            f"lower training.batch_size, now {batch}, or the widths of the method."
        ) from None
    finally:
        process.join()
    if isinstance(found, torch.OutOfMemoryError):
        raise LgsfError(
            f"a step of {settings.method!r} with training.batch_size {batch} does not fit into the memory of this "
            f"machine's {device}: lower the batch size or the widths of the method."
        )
    if isinstance(found, Exception):
        raise found
    assert isinstance(found, Cost)
    return found


def _send(sender: Connection, plain: dict[str, object], size: DataSize, device: str, steps: int) -> None:
    """What `measure` finds or raises; nobody to hear it is no matter."""
    found: Cost | Exception
    try:
        found = measure(plain, size, device, steps)
    except Exception as error:
        found = error
    with suppress(BrokenPipeError):
        sender.send(found)


def measure(plain: dict[str, object], size: DataSize, device: str, steps: int) -> Cost:
    """Medians of `steps` training steps, and of the pieces of an evaluation, after one of each to warm up."""
    settings = check_settings(plain, source="the configuration")
    place = torch.device(device)
    make_repeatable(place, settings.threads)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    method = _built(settings, size).to(place)
    step = _seconds(_step(method, settings, size, generator, place), steps, place)
    memory = peak_gpu_memory_mb(place)
    method.eval()
    with torch.inference_mode():
        pieces = _pieces(method, size, generator, place)
    looks = [_look(pieces, size.images[split], size.captions[split]) for split in ("dev", "test")]
    return Cost(
        step=step,
        dev=looks[0],
        evaluation=sum(looks),
        memory_mb=peak_memory_mb() if memory is None else memory,
        weights=sum(weight.numel() for weight in method.parameters()),
    )


def _built(settings: RunSettings, size: DataSize) -> Method:
    """The method with weights of no meaning; word vectors that it would start from cost a step nothing."""
    if word_vectors_name(settings.parameters) is not None:
        settings = settings.model_copy(update={"parameters": {**settings.parameters, "word_vectors": None}})
    source = f"the settings of {settings.method}"
    spec = DataSpec(
        region_dim=size.region_dim,
        vocabulary_size=size.vocabulary,
        has_boxes=size.has_boxes,
        pretrained=read_pretrained(settings.parameters, Vocabulary.build(["a word"], min_count=1)),
    )
    return method_class(settings.model, source=source)(parameters_of(settings, source=source), spec)


def made_up(size: DataSize, n: int, generator: torch.Generator) -> Batch:
    """Random pairs of different images, all regions valid."""
    lengths = torch.randint(WORDS[0], WORDS[1] + 1, (n,), generator=generator)
    mask = torch.arange(WORDS[1]) < lengths[:, None]
    boxes = torch.rand(n, size.n_regions, 4, generator=generator) if size.has_boxes else None
    return Batch(
        regions=torch.randn(n, size.n_regions, size.region_dim, generator=generator),
        region_mask=torch.ones(n, size.n_regions, dtype=torch.bool),
        boxes=boxes,
        tokens=torch.randint(5, max(6, size.vocabulary), mask.shape, generator=generator) * mask,
        token_mask=mask,
        image_ids=torch.arange(n),
    )


def _step(
    method: Method, settings: RunSettings, size: DataSize, generator: torch.Generator, device: torch.device
) -> Callable[[], object]:
    """A training step as lgsf.training.trainer makes it, late in a run: everything that training alone needs is on."""
    options = settings.training
    optimizer = build_optimizer(method, options)
    method.train()
    batch = made_up(size, options.batch_size, generator).to(device)
    progress = Progress(step=10**6 - 1, total_steps=10**6, hardest=True)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bfloat16"):
            images = method.encode_images(batch.regions, batch.region_mask, batch.boxes)
            texts = method.encode_texts(batch.tokens, batch.token_mask)
        loss, _ = method.loss(batch, images.float(), texts.float(), progress)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(method.parameters(), options.clip_norm)
        optimizer.step()

    return step


def _pieces(
    method: Method, size: DataSize, generator: torch.Generator, device: torch.device
) -> tuple[float, float, float]:
    """Seconds to encode IMAGE_BATCH images, TEXT_BATCH captions, and to compare and count a tile of scores."""
    batch = made_up(size, TEXT_BATCH, generator).to(device)
    rows = torch.arange(TEXT_TILE, device=device)
    regions, mask = batch.regions[:IMAGE_BATCH], batch.region_mask[:IMAGE_BATCH]
    boxes = None if batch.boxes is None else batch.boxes[:IMAGE_BATCH]
    images, texts = method.encode_images(regions, mask, boxes), method.encode_texts(batch.tokens, batch.token_mask)
    tile = TiledScores(method, images.select(rows[:IMAGE_TILE] % IMAGE_BATCH), texts.select(rows % TEXT_BATCH))
    own = np.arange(TEXT_TILE) % IMAGE_TILE

    def count() -> None:
        tile._kept = []
        rank(tile, own, np.zeros(IMAGE_TILE, np.int32), top=0)

    return (
        _seconds(lambda: method.encode_images(regions, mask, boxes), 1, device),
        _seconds(lambda: method.encode_texts(batch.tokens, batch.token_mask), 1, device),
        _seconds(count, 1, device),
    )


def _look(pieces: tuple[float, float, float], n_images: int, n_captions: int) -> float:
    """Seconds to encode and rank a split: its pieces, as often as it has them."""
    tiles = -(-n_images // IMAGE_TILE) * -(-n_captions // TEXT_TILE)
    return pieces[0] * n_images / IMAGE_BATCH + pieces[1] * n_captions / TEXT_BATCH + pieces[2] * tiles


def _seconds(work: Callable[[], object], times: int, device: torch.device) -> float:
    taken = []
    for _ in range(times + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return median(taken[1:])

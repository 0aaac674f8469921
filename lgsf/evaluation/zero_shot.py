"""A dual encoder off the shelf as a row of the tables: the same test split, no training here, other training data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from lgsf.config.elsewhere.zero_shot import ZeroShotSettings
from lgsf.data.layout import Dataset, Split, open_dataset
from lgsf.data.pictures import find_pictures
from lgsf.evaluation.controls import EmbeddingScores
from lgsf.evaluation.protocol import rank_and_write
from lgsf.extract.dual import DualEncoder
from lgsf.extract.models import check_device
from lgsf.runs.origin import evaluated_files
from lgsf.runs.provenance import now, peak_gpu_memory_mb, peak_memory_mb, provenance
from lgsf.runs.record import RunRecord, write_record
from lgsf.system.errors import LgsfError
from lgsf.system.settings import explain

ELSEWHERE = "trained on other data than this dataset's training split; no reference for any claim"


def zero_shot(
    settings: Mapping[str, Any],
    *,
    name: str,
    dataset: Path,
    photos: Path | None,
    out: Path,
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Rank dev and test by the cosine of the model's own vectors of photos and captions; write run `out`.

    photos  folder of the photos; None where the dataset holds its pictures

    Raises LgsfError where the settings or the model are wrong, or a photo is missing or cannot be read.
    """
    try:
        wanted = ZeroShotSettings.model_validate(dict(settings))
    except ValidationError as error:
        raise LgsfError(f"zero_shot.{name}: {explain(error)}") from None
    data = open_dataset(dataset)
    target = check_device(device)
    torch.set_num_threads(threads)
    started, begin, origin = now(), time.monotonic(), provenance(data, device=target)
    splits = [data.split(split) for split in ("dev", "test")]
    files = [split_photos(data, split, photos) for split in splits]
    encoder = DualEncoder.open(wanted.model, target)
    for split, pictures in zip(splits, files, strict=True):
        scores = zero_shot_scores(encoder, wanted, split, pictures)
        rank_and_write(out / split.name, data, split, scores, made_from={"zero_shot": wanted.model, **encoder.files})
    short = wanted.model.rstrip("/").rpartition("/")[2]
    record = RunRecord(
        **origin,
        kind="zero_shot",
        dataset=data.name,
        method=name,
        title=wanted.title_of(name),
        seed=0,
        text_encoder=short,
        features=f"{short}, from photos",
        ensemble=False,
        pretrained={"model": wanted.model, "sha256": encoder.files, "note": ELSEWHERE},
        config={"zero_shot": wanted.model_dump(mode="json")},
        files=evaluated_files(out, ("dev", "test")),
        threads=threads,
        started=started,
        ended=now(),
        seconds=time.monotonic() - begin,
        peak_memory_mb=peak_memory_mb(),
        peak_gpu_memory_mb=peak_gpu_memory_mb(target),
        parameters=sum(parameter.numel() for parameter in encoder.opened.model.parameters()),
        ending="finished",
    )
    write_record(out, record)


def zero_shot_scores(
    encoder: DualEncoder, settings: ZeroShotSettings, split: Split, files: list[Path]
) -> EmbeddingScores:
    """Cosines of every photo and every caption of a split, float32."""
    captions = [settings.prompt.replace("{}", text) for text in split.captions["text"]]
    size, precision = settings.batch_size, settings.precision
    return EmbeddingScores(
        encoder.photos(files, batch_size=size, workers=settings.workers, precision=precision),
        encoder.texts(captions, batch_size=size, precision=precision),
    )


def split_photos(data: Dataset, split: Split, photos: Path | None) -> list[Path]:
    """The photo of each image of a split; LgsfError for the first that is missing."""
    found = find_pictures(data, split, photos)
    missing = [row for row in range(len(split.images)) if row not in found]
    if missing:
        names = split.images[["image_id", "file_name"]].iloc[missing[0]].tolist()
        raise LgsfError(
            f"{photos or data.root}: {len(missing)} of the {len(split.images)} photos of the {split.name} split are "
            f"not there, the first is {names[1] or names[0]!r}: a zero-shot model reads photos; complete the folder "
            f"(datasets.{data.name}.images), or take the model out of run.zero_shot."
        )
    return [found[row] for row in range(len(split.images))]

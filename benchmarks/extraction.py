"""Photos per second of the extraction, with models of published sizes: speed does not hang on what weights are.

Photos are 640 x 480 JPEGs of smooth noise. Decoding and preparing them happens in the model's own process, so that
processor time tells the whole work: on an idle core photos per second are 1 / (seconds per photo).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from lgsf.data.photos.settings import Extraction
from lgsf.extract.batches import photo_batches
from lgsf.extract.extract import open_extractor

CLIP_SIZE = {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}
SQUARE = {"size": {"height": 224, "width": 224}}
DETR_SIZE = {"size": {"shortest_edge": 800, "longest_edge": 1333}}
RT_SIZE = {"size": {"height": 640, "width": 640}, "do_normalize": False}


def models() -> dict[str, tuple[Any, str, dict[str, Any], str]]:
    """Name -> model on demand, processor and its settings, kind of extraction."""
    resnet = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None}
    r18 = transformers.RTDetrResNetConfig(
        layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512],
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    r50 = transformers.ResNetConfig(out_features=["stage4"])
    rt_detr = transformers.RTDetrConfig(
        backbone_config=r18, encoder_in_channels=[128, 256, 512], hidden_expansion=0.5, decoder_layers=3
    )
    return {
        "DETR, ResNet-50, 800 pixels": (
            lambda: transformers.DetrForObjectDetection(transformers.DetrConfig(backbone_config=r50, **resnet)),
            "DetrImageProcessorPil", DETR_SIZE, "regions",
        ),
        "RT-DETR, ResNet-18, 640 pixels": (
            lambda: transformers.RTDetrForObjectDetection(rt_detr), "RTDetrImageProcessorPil", RT_SIZE, "regions",
        ),
        "ViT-B/16, 224 pixels": (
            lambda: transformers.ViTModel(transformers.ViTConfig()), "ViTImageProcessorPil", SQUARE, "grid",
        ),
        "CLIP ViT-B/32, 224 pixels": (
            lambda: transformers.CLIPModel(transformers.CLIPConfig()), "CLIPImageProcessorPil", CLIP_SIZE, "image",
        ),
        "ResNet-18, 224 pixels": (
            lambda: transformers.ResNetModel(
                transformers.ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512])
            ),
            "ViTImageProcessorPil", SQUARE, "grid",
        ),
    }  # fmt: skip


def write_photos(folder: Path, count: int) -> list[str]:
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
    return [f"{number}.jpg" for number in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    print("| model | photos | processor seconds per photo | photos per second of one core | wall, photos per second |")
    print("|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        photos.mkdir()
        names = write_photos(photos, arguments.photos)
        for title, (build, processor, settings, kind) in models().items():
            folder = Path(place) / "model"
            build().save_pretrained(folder)
            getattr(transformers, processor)(**settings).save_pretrained(folder)
            wanted = Extraction.model_validate({"kind": kind, "model": str(folder), "precision": arguments.precision})
            opened, extractor = open_extractor(wanted, torch.device(arguments.device))
            begin, wall = time.process_time(), time.monotonic()
            for batch in photo_batches(photos, names, opened.preprocess, size=wanted.batch_size, workers=0):
                extractor(batch)
            seconds, wall = time.process_time() - begin, time.monotonic() - wall
            rate = len(names) / seconds
            print(f"| {title} | {len(names)} | {seconds / len(names):.3f} | {rate:.2f} | {len(names) / wall:.2f} |")


if __name__ == "__main__":
    main()

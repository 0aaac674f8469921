"""Region features of the images of tests.support.annotation_files, in the formats in which they are published."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tests.support.annotation_files import names

DIM, MOST = 5, 4
WIDTH, HEIGHT = 640, 480


def regions(number: int) -> npt.NDArray[np.float32]:
    """(1 to 4, DIM) float32."""
    rng = np.random.default_rng(number)
    return rng.normal(size=(1 + number % MOST, DIM)).astype(np.float32)


def boxes(number: int) -> npt.NDArray[np.float32]:
    """(1 to 4, 4) float32 x0 y0 x1 y1 in pixels; the last reaches the right and lower end and a rounding beyond."""
    count = len(regions(number))
    own = np.array([[10 + k, 20, 210 + k, 120] for k in range(count)], np.float32)
    own[-1, 2:] = WIDTH + 0.25, HEIGHT
    return own


def tsv_row(number: int, *, lxmert: bool = False) -> bytes:
    """A row as `csv.DictWriter` of Python 2 wrote it: ended by \\r\\n."""
    encoded = [base64.b64encode(array).decode() for array in (boxes(number), regions(number))]
    head = [str(number), str(WIDTH), str(HEIGHT)]
    if lxmert:
        empty = base64.b64encode(np.zeros(len(regions(number)), np.int64)).decode()
        head = [f"COCO_val2014_{number:012d}", str(HEIGHT), str(WIDTH), *[empty] * 4]
    return ("\t".join([*head, str(len(regions(number))), *encoded]) + "\r\n").encode()


def write_tsv(folder: Path, *, lxmert: bool = False) -> dict[str, Any]:
    """Two files in no order, one image in both (as merged files of several GPUs have it) and one of no split."""
    numbers = sorted(names(), reverse=True)
    parts = (numbers[:7], [*numbers[6:], 5])
    paths = [folder / f"karpathy_train_resnet101_faster_rcnn_genome.tsv.{k}" for k in range(2)]
    for path, own in zip(paths, parts, strict=True):
        path.write_bytes(b"".join(tsv_row(number, lxmert=lxmert) for number in own))
    return {"format": "tsv", "paths": list(map(str, paths))}


def write_folder(folder: Path, *, archive: bool) -> dict[str, Any]:
    """cocobu_att/<number>.npz with `feat`, or <number>.npy."""
    folder = folder / "cocobu_att"
    folder.mkdir()
    for number in names():
        if archive:
            info = np.array({"objects": 1}, dtype=object)  # as bottom-up-attention.pytorch writes it: a pickle
            np.savez(
                folder / f"{number}.npz",
                feat=regions(number),
                bbox=boxes(number),
                image_w=WIDTH,
                image_h=HEIGHT,
                info=info,
            )
        else:
            np.save(folder / f"{number}.npy", regions(number))
    return {"format": "folder", "path": str(folder)}


def write_hdf5(folder: Path, layout: str) -> dict[str, Any]:
    """The layouts of lgsf.data.features.hdf5: per_image, groups, stacked (padded by zeros), flat (pos_boxes)."""
    path = folder / "features.hdf5"
    numbers = sorted(names(), reverse=True)
    settings: dict[str, Any] = {"format": "hdf5", "paths": [str(path)]}
    with h5py.File(path, "w") as file:
        if layout == "per_image":
            for number in numbers:
                file[f"{number}_features"], file[f"{number}_boxes"] = regions(number), boxes(number)
                file[f"{number}_cls_prob"] = np.zeros((len(regions(number)), 3), np.float32)
        elif layout == "groups":
            for number in numbers:
                name = f"COCO_val2014_{number:012d}"
                file[f"{name}/features"], file[f"{name}/boxes"] = regions(number), boxes(number)
                file[f"{name}/img_w"], file[f"{name}/img_h"] = WIDTH, HEIGHT
        elif layout == "stacked":
            stacked = np.zeros((len(numbers), MOST, DIM), np.float32)
            for row, number in enumerate(numbers):
                stacked[row, : len(regions(number))] = regions(number)
            file.create_dataset("features", data=stacked, chunks=(2, MOST, DIM), compression="gzip")
            file["image_ids"] = np.array(numbers)
        else:
            ends = np.cumsum([len(regions(number)) for number in numbers])
            file["image_features"] = np.concatenate([regions(number) for number in numbers])
            file["image_bb"] = np.concatenate([boxes(number) for number in numbers])
            file["pos_boxes"] = np.column_stack([np.concatenate([[0], ends[:-1]]), ends]).astype(np.int32)
            ids = folder / "imgid2idx.json"
            ids.write_text(json.dumps({str(number): row for row, number in enumerate(numbers)}))
            settings["ids"] = [str(ids)]
    return settings

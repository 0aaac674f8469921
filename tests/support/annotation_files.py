"""Small files of captions and images in the formats in which they are published, all of the same twelve images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPLITS = {"train": 6, "dev": 3, "test": 3}
CAPTIONS = 6  # of the first image; the others have five


def names() -> dict[int, tuple[str, str]]:
    """COCO number -> (split, file name of 2014), in the order of Karpathy's file: splits mixed, as there."""
    splits = ["test", "train", "restval", "val", "train", "test", "train", "val", "restval", "train", "val", "test"]
    return {
        391895 + 7 * k: (split, f"COCO_{'train' if split == 'train' else 'val'}2014_{391895 + 7 * k:012d}.jpg")
        for k, split in enumerate(splits)
    }


def texts(number: int) -> list[str]:
    """The captions of an image; one ends in a line end, as some of COCO's do."""
    count = CAPTIONS if number == 391895 else 5
    return [f"A dog runs over field {number}, view {k} .{chr(10) * (k == 2)}" for k in range(count)]


def write_karpathy_coco(path: Path) -> Path:
    """dataset_coco.json: `cocoid`, `filepath` and COCO's ids of captions."""
    images = []
    for place, (number, (split, name)) in enumerate(names().items()):
        sentences = [
            {"tokens": text.split(), "raw": text, "imgid": place, "sentid": 10 * number + k}
            for k, text in enumerate(texts(number))
        ]
        images.append({
            "filepath": "train2014" if split == "train" else "val2014", "filename": name, "imgid": place,
            "split": split, "sentids": [s["sentid"] for s in sentences], "sentences": sentences, "cocoid": number,
        })  # fmt: skip
    return write_json(path, {"images": images, "dataset": "coco"})


def write_karpathy_flickr(path: Path) -> Path:
    """dataset_flickr30k.json: no `cocoid`, no `filepath`, no `restval`."""
    images = []
    for place, (number, (split, _)) in enumerate(names().items()):
        sentences = [
            {"tokens": text.split(), "raw": text, "imgid": place, "sentid": 5 * place + k}
            for k, text in enumerate(texts(number)[:5])
        ]
        images.append({
            "filename": f"{number}.jpg", "imgid": place, "split": split.replace("restval", "train"),
            "sentids": [s["sentid"] for s in sentences], "sentences": sentences,
        })  # fmt: skip
    return write_json(path, {"images": images, "dataset": "flickr30k"})


def write_coco(folder: Path, *, year: int = 2014) -> dict[str, Any]:
    """captions_val<year>.json, instances_val<year>.json and Karpathy-like lists; gives the settings of CocoAnnotations.

    Annotations stand in no order of image or id, as in the published files.
    """
    images = [
        {
            "license": 4, "file_name": name if year == 2014 else name[-16:], "height": 480, "width": 640, "id": number,
            "coco_url": f"http://images.cocodataset.org/val{year}/{name}", "date_captured": "2013-11-14 17:02:52",
            "flickr_url": "http://farm7.staticflickr.com/1/2_3_z.jpg",
        }
        for number, (_, name) in sorted(names().items(), reverse=True)
    ]  # fmt: skip
    captions = [
        {"image_id": number, "id": 10 * number + k, "caption": text}
        for number in names()
        for k, text in enumerate(texts(number))
    ]
    captions = captions[::2] + captions[1::2][::-1]
    polygon = [[10.0, 20.0, 10.0, 120.0, 210.0, 120.0]]
    instances = [
        {
            "segmentation": polygon, "area": 1e4, "iscrowd": crowd, "image_id": number, "category_id": 18,
            "id": 100 + 3 * k + j, "bbox": [10.0 + 300 * j, 20.0, 200.0, 100.0],
        }
        for k, number in enumerate(sorted(names())[:8])
        for j, crowd in enumerate((0, 0, 1))
    ]  # fmt: skip
    licenses = [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}]
    common = {"info": {"year": year}, "licenses": licenses, "images": images}
    write_json(folder / f"captions_val{year}.json", {**common, "annotations": captions})
    categories = [{"supercategory": "animal", "id": 18, "name": "dog"}]
    write_json(folder / f"instances_val{year}.json", {**common, "annotations": instances, "categories": categories})
    lists = {}
    for split, list_name in (("val", "dev"), ("test", "test")):
        lists[list_name] = str(folder / f"karpathy_{split}_images.txt")
        lines = [f"val2014/{name} {number}" for number, (own, name) in names().items() if own == split]
        Path(lists[list_name]).write_text("\n".join(lines) + "\n")
    return {
        "format": "coco",
        "captions": [str(folder / f"captions_val{year}.json")],
        "instances": [str(folder / f"instances_val{year}.json")],
        "lists": lists,
    }


def write_flickr(folder: Path) -> dict[str, Any]:
    """Flickr8k.token.txt and its lists; one image is in no list, and is called .jpg.1 as in the published file."""
    listed: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    lines = [f"2258277193_586949ec62.jpg.1#{k}\tsomeone lost {k}" for k in range(5)]
    for number, (split, _) in names().items():
        name = f"{number}_ab.jpg"
        listed[{"val": "dev", "restval": "train"}.get(split, split)].append(name)
        lines += [f"{name}#{k}\t{text.strip()}" for k, text in enumerate(texts(number)[:5])]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    paths = {}
    for split, own in listed.items():
        paths[split] = str(folder / f"Flickr_8k.{split}Images.txt")
        Path(paths[split]).write_text("\n".join(own) + "\n")
    return {"format": "flickr", "path": str(folder / "Flickr8k.token.txt"), "lists": paths}


def write_table(path: Path) -> Path:
    """One's own data: .csv, .tsv or .jsonl by the ending of `path`."""
    rows = [
        {"image": f"shots/{number}.png", "caption": text.strip(), "split": split.replace("restval", "train")}
        for number, (split, _) in names().items()
        for text in texts(number)[: 1 + number % 3]
    ]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
    mark = "," if path.suffix == ".csv" else "\t"
    lines = [mark.join(rows[0])] + [mark.join(f'"{v}"' if mark in v else v for v in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_json(path: Path, content: Any) -> Path:
    """JSON without line ends, as the published files are."""
    path.write_text(json.dumps(content))
    return path

"""The verbs that tests/support/verbs.py leaves out, since their sources take seconds to make: fetch, photos, sharing."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np

from tests.support.photos import photo_settings, write_photos

MODULES = (
    "lgsf.fetch.fetch", "lgsf.extract.extract", "lgsf.data.photos.prepare", "lgsf.data.precomp.convert",
    "lgsf.data.inspection.inspect", "lgsf.evaluation.zero_shot", "lgsf.importing.configured", "lgsf.importing.finished",
    "lgsf.importing.weights", "lgsf.tuning.dev", "lgsf.sharing.curves", "lgsf.sharing.push", "transformers",
)  # fmt: skip


def import_others() -> None:
    """As `import_all` of the other module."""
    for module in MODULES:
        importlib.import_module(module)


def archive() -> bytes:
    """What the server of `fetch` has: a small tar file, the same at every call."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for number in range(3):
            data = np.random.default_rng(number).bytes(30_000)
            entry = tarfile.TarInfo(f"pack/{number}.bin")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def write_other_sources(root: Path, url: str) -> None:
    """What a user has before the first of these verbs; `url` serves `archive()`."""
    from tests.support.vision_models import write_dual_encoder, write_model

    write_photos(root / "own")
    write_model(root / "models" / "vit", "vit")
    write_dual_encoder(root / "models" / "clip")
    content = archive()
    fetched = {
        "urls": [url], "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "licence": "CC0",
        "path": f"{root}/fetched/pack.tar", "unpack": {"folder": f"{root}/fetched/pack", "most_bytes": 200_000},
    }  # fmt: skip
    (root / "fetch.json").write_text(json.dumps(fetched))


def other_chain(root: Path) -> dict[str, list[str]]:
    """Verb -> its command line, behind all of `chain(root)`."""
    data, runs, own = f"{root}/data/tiny", f"{root}/results/tiny", f"{root}/data/own"
    photos = json.dumps(photo_settings(root / "own", root / "models" / "vit", kind="grid", grid=2))
    experiment = json.dumps(
        {"experiment": "w", "title": "W", "datasets": ["tiny"], "seeds": [0], "reference": "tried",
         "methods": [{"name": "tried", "title": "Tried"}, {"name": "graph", "title": "Graph"}], "controls": []}
    )  # fmt: skip
    scores = {"kind": "scores", "test": [f"{root}/scores.npy"]}
    checkpoint = {"kind": "checkpoint", "method": "vsepp", "checkpoint": [f"{root}/released/model_best.pth.tar"],
                  "vocab": f"{root}/released/coco_precomp_vocab.json"}  # fmt: skip
    finished = {"kind": "run", "path": [f"{runs}/tried/seed0"]}
    imported = ["import-model", "--seed", "0", "--settings"]
    return {
        "fetch": ["fetch", "--name", "pack", "--settings", (root / "fetch.json").read_text(),
                  "--out", f"{root}/fetched/pack.json"],
        "extract": ["extract", "--name", "own", "--settings", photos, "--shard", "1", "--out", own],
        "prepare photos": ["prepare", "--name", "own", "--settings", photos, "--out", own],
        "zero-shot": ["zero-shot", "--name", "clip", "--settings", json.dumps({"model": f"{root}/models/clip", "workers": 0}),
                      "--dataset", own, "--photos", f"{root}/own/photos", "--out", f"{root}/results/own/clip/seed0"],
        "import-model scores": [*imported, json.dumps(scores), "--name", "matrix", "--dataset", data,
                                "--out", f"{runs}/matrix/seed0"],
        "import-model checkpoint": [*imported, json.dumps(checkpoint), "--name", "theirs", "--dataset",
                                    f"{root}/released/data", "--out", f"{root}/results/golden/theirs/seed0"],
        "import-model run": [*imported, json.dumps(finished), "--name", "tried", "--dataset", data,
                             "--out", f"{root}/elsewhere/tiny/tried/seed0"],
        "convert": ["convert", "--source", data, "--out", f"{root}/converted"],
        "convert back": ["convert", "--source", f"{root}/converted", "--out", f"{root}/restored"],
        "inspect": ["inspect", data, "--out", f"{root}/inspected"],
        "dev": ["dev", "--experiment", experiment, "--results", f"{root}/results", "--out", f"{root}/results/tables/t/dev"],
        "published": ["published"],
        "export-curves": ["export-curves", f"{runs}/tried/seed0", f"{runs}/graph/seed0", "--format", "csv",
                          "--out", f"{root}/curves"],
        "push-to-hub": ["push-to-hub", f"{runs}/tried/seed0", "--dataset", data, "--repo", "me/mine",
                        "--card", f"{root}/card.md"],
        "deploy": ["deploy", f"{root}/deployed"],
    }  # fmt: skip

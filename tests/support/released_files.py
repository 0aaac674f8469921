"""Checkpoints, vocabularies and data as authors release them, made of the golden cases."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from tests.support.golden import Golden

SPECIAL = ["<pad>", "<start>", "<end>", "<unk>"]
COMMON = {
    "data_path": "/home/somebody/data", "data_name": "coco_precomp", "vocab_path": "./vocab/", "margin": 0.2,
    "num_epochs": 20, "batch_size": 128, "word_dim": 20, "embed_size": 32, "grad_clip": 2.0, "num_layers": 1,
    "learning_rate": 0.0005, "lr_update": 10, "max_violation": True, "img_dim": 48, "no_imgnorm": False,
    "vocab_size": 60,
}  # fmt: skip
SCAN = {"no_txtnorm": False, "raw_feature_norm": "clipped_l2norm", "precomp_enc_type": "basic", "bi_gru": True}
ORDER = {"measure": "cosine", "use_abs": False, "cnn_type": "vgg19", "finetune": False}
SGRAF = {"no_txtnorm": False, "bi_gru": True, "sim_dim": 16, "sgr_step": 3}
# golden case -> (--method, the options that its authors' command line adds)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "vsepp_max": ("vsepp", ORDER),
    "scan_t2i_lse": ("scan", SCAN | {"cross_attn": "t2i", "agg_func": "LogSumExp"}),
    "scan_t2i_avg": ("scan", SCAN | {"cross_attn": "t2i", "agg_func": "Mean"}),
    "scan_i2t_lse": ("scan", SCAN | {"cross_attn": "i2t", "agg_func": "LogSumExp"}),
    "scan_i2t_avg": ("scan", SCAN | {"cross_attn": "i2t", "agg_func": "Mean"}),
    "sgraf_sgr": ("sgraf", SGRAF | {"module_name": "SGR"}),
    "sgraf_saf": ("sgraf", SGRAF | {"module_name": "SAF"}),
    "vse_inf_bigru": ("vse_inf", {"no_txtnorm": False, "precomp_enc_type": "basic"}),
    "vsrn_coco": ("vsrn", ORDER | {"dim_hidden": 512}),
    "vsrn_f30k": ("vsrn", ORDER | {"dim_hidden": 512}),
}


@dataclass(frozen=True)
class Files:
    """What a user has before an import."""

    method: str
    content: dict[str, Any]
    checkpoint: Path
    vocab: Path
    dataset: Path
    out: Path

    def arguments(self, **changes: Any) -> list[str]:
        given = {"method": self.method, "checkpoint": self.checkpoint, "vocab": self.vocab, "dataset": self.dataset}
        given |= {"out": self.out, **changes}
        return ["import-checkpoint", *(word for k, v in given.items() for word in (f"--{k}", str(v)))]

    def save(self, **options: Any) -> None:
        torch.save(self.content, self.checkpoint, **options)


def make_files(folder: Path, name: str, *, wrapped: bool = False) -> Files:
    """The golden case `name` as its authors would release it; `wrapped` as DataParallel names weights."""
    case, (method, options) = Golden(name), CASES[name]
    parts = ["img_enc", "txt_enc", *(["sim_enc"] if method == "sgraf" else [])]
    prefix = "module." if wrapped else ""
    model = [
        OrderedDict((prefix + k.removeprefix(f"{part}."), v) for k, v in case.weights.items() if k.startswith(part))
        for part in parts
    ]
    if method == "scan":
        options = options | {key: float(case[key]) for key in ("lambda_softmax", "lambda_lse")}
    content = {
        "epoch": 17, "model": model, "best_rsum": 507.9, "opt": argparse.Namespace(**COMMON, **options), "Eiters": 9000,
    }  # fmt: skip
    words = SPECIAL + [f"w{number}" for number in range(4, 60)]
    vocab = folder / "coco_precomp_vocab.json"
    write_vocabulary(vocab, words)
    files = Files(
        method, content, folder / "model_best.pth.tar", vocab, folder / "data", folder / "golden/authors/seed0"
    )
    files.save()
    write_dataset(files.dataset, case, words)
    return files


def write_vocabulary(path: Path, words: list[str]) -> None:
    """The authors' JSON."""
    content = {"word2idx": {w: i for i, w in enumerate(words)}, "idx2word": dict(enumerate(words)), "idx": len(words)}
    path.write_text(json.dumps(content))


def write_dataset(root: Path, case: Golden, words: list[str]) -> None:
    """A dataset whose test split holds the case's inputs; its own vocabulary numbers the words in another way."""
    batch = case.batch
    regions = batch.regions.numpy() if batch.regions.ndim == 3 else batch.regions.unsqueeze(1).numpy()
    counts = batch.region_mask.sum(1).numpy().astype(np.int32) if batch.regions.ndim == 3 else np.ones(6, np.int32)
    valid = np.arange(regions.shape[1]) < counts[:, None]
    regions = np.where(valid[..., None], regions, 0).astype(np.float32)
    texts = [
        " ".join(words[token] for token in row[1 : length - 1])
        for row, length in zip(batch.tokens.tolist(), case["lengths"].tolist(), strict=True)
    ]
    images = pd.DataFrame({"image_id": [f"i{k}" for k in range(6)], "file_name": "none"})
    captions = pd.DataFrame({"caption_id": [f"c{k}" for k in range(6)], "image": np.arange(6), "text": texts})
    with DatasetWriter(root, name="golden", source={"kind": "test"}, protocol={"folds": 1}) as writer:
        for place, split in enumerate(("test", "dev", "train")):
            turned = captions.assign(text=texts[place:] + texts[:place])
            other = np.where(valid[..., None], regions + place, 0).astype(np.float32)
            writer.split(
                split, images=images, captions=turned, shape=regions.shape, dtype=np.float32,
                blocks=[(other, counts, None)], boxes=False,
            )  # fmt: skip
        writer.vocabulary(Vocabulary.build(texts, min_count=1))

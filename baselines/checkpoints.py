"""Which released checkpoints become runs: for each method its authors' options, as parameters of our class.

An option that changes scores and that our rebuild does not have is refused. Options that speak of training
alone (learning rates, epochs, hard negatives) are kept in the run's record and not translated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from baselines import hrem, scan, sgraf, vse_inf, vsepp, vsrn
from lgsf.pretrained.released import Released
from lgsf.system.errors import LgsfError

DEV = "dev, as the authors' code does"
REGION_CNN = "it holds a CNN that reads pictures, and only models of region features are known"


@dataclass(frozen=True, kw_only=True)
class Known:
    """A method whose checkpoints can be imported.

    parameters  checks the authors' options and turns them into ours
    rename      the authors' names of weights into ours
    selection   the split on which the authors' code keeps its best model
    mask_word   whether the authors' code adds <mask> to the vocabulary
    first       the layer that reads regions
    """

    title: str
    model: str
    parameters: Callable[[Released], dict[str, Any]]
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    selection: str = DEV
    mask_word: bool = False
    first: str = "img_enc.fc.weight"


def known(method: str) -> Known:
    """The method of that name; LgsfError with all names otherwise."""
    if method not in METHODS:
        raise LgsfError(f"--method {method!r} is not known; known are {', '.join(METHODS)}.")
    return METHODS[method]


def reads_bert(released: Released) -> bool:
    """Whether the text encoder is a BERT (VSE-infinity's branch `master`, HREM) and not a GRU over words."""
    return any(name.startswith("txt_enc.bert.") for name in released.weights)


def _widths(released: Released, *, first: str = "img_enc.fc.weight") -> dict[str, Any]:
    """What all share: one recurrent layer, unit vectors, and the widths."""
    for option in ("no_imgnorm", "no_txtnorm", "use_abs"):
        released.expect(option, False, default=False)
    released.expect("num_layers", 1, default=1)
    released.size(first, 1, "img_dim")
    shared = {"embedding_dim": released.size(first, 0, "embed_size"), "margin": released.number("margin")}
    if reads_bert(released):
        return shared
    released.size("txt_enc.embed.weight", 0, "vocab_size")
    return shared | {"word_dim": released.size("txt_enc.embed.weight", 1, "word_dim")}


def _vsepp(released: Released) -> dict[str, Any]:
    released.refuse("img_enc.cnn.", REGION_CNN)
    released.expect("measure", "cosine")
    return _widths(released)


def _scan(released: Released) -> dict[str, Any]:
    released.expect("raw_feature_norm", "clipped_l2norm")
    released.expect("precomp_enc_type", "basic", default="basic")
    released.expect("bi_gru", True)
    aggregation = {"LogSumExp": "lse", "Mean": "mean"}
    return {
        **_widths(released),
        "direction": released.expect("cross_attn", "t2i", "i2t"),
        "aggregation": aggregation[released.expect("agg_func", *aggregation)],
        "lambda_softmax": released.number("lambda_softmax"),
        "lambda_lse": released.number("lambda_lse"),
    }


def _sgraf(released: Released) -> dict[str, Any]:
    released.expect("bi_gru", True)
    module = released.expect("module_name", "SGR", "SAF")
    steps = {"steps": released.count("sgr_step")} if module == "SGR" else {}
    return {
        **_widths(released),
        **steps,
        "module": module.lower(),
        "regions": released.size("sim_enc.v_global_w.embedding_local.1.weight", 0),
        "similarity_dim": released.size("sim_enc.sim_tranloc_w.weight", 0, "sim_dim"),
    }


def _vse_inf(released: Released) -> dict[str, Any]:
    released.refuse("img_enc.backbone.", REGION_CNN)
    released.expect("precomp_enc_type", "basic")
    return _widths(released)


def _vsrn(released: Released) -> dict[str, Any]:
    released.expect("measure", "cosine")
    normed = any(name.startswith("img_enc.bn.") for name in released.weights)
    # The captioning networks are not in the file.
    return {**_widths(released), "variant": "f30k" if normed else "coco", "caption_weight": 0.0}


def _hrem(released: Released) -> dict[str, Any]:
    released.size("txt_enc.bert.embeddings.word_embeddings.weight", 1)  # the published code has no other encoder
    return {
        **_widths(released, first="img_enc.fc.fc.weight"),
        "heads": released.count("nhead"),
        "dropout": released.number("dropout"),
        "residual_weight": released.number("residual_weight"),
    }


METHODS: dict[str, Known] = {
    "vsepp": Known(
        title="VSE++", model="baselines.vsepp:VSEPP", parameters=_vsepp, rename=vsepp.from_published
    ),
    "scan": Known(title="SCAN", model="baselines.scan:SCAN", parameters=_scan, rename=scan.from_published),
    "sgraf": Known(title="SGRAF", model="baselines.sgraf:SGRAF", parameters=_sgraf, rename=sgraf.from_published),
    "vse_inf": Known(
        title="VSE∞", model="baselines.vse_inf:VSEInfinity", parameters=_vse_inf, rename=vse_inf.from_published,
        mask_word=True,
    ),
    "vsrn": Known(title="VSRN", model="baselines.vsrn:VSRN", parameters=_vsrn, rename=vsrn.from_published),
    "hrem": Known(
        title="HREM", model="baselines.hrem:HREM", parameters=_hrem, rename=hrem.from_published, first="img_enc.fc.fc.weight",
        selection="TEST, as the authors' code does: its test results are optimistic",
    ),
}  # fmt: skip

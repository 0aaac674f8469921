"""Vision models of transformers' real classes with tiny random weights, saved as their users find them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    CLIPConfig,
    CLIPModel,
    DetrConfig,
    DetrForObjectDetection,
    DFineConfig,
    DFineForObjectDetection,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetModel,
    RTDetrConfig,
    RTDetrForObjectDetection,
    SiglipConfig,
    SiglipModel,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTModel,
    YolosConfig,
    YolosForObjectDetection,
)

LABELS = 5
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1], "layer_type": "basic"}
TOWER = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 37}
RT_DETR = {
    "encoder_hidden_dim": 32, "d_model": 32, "num_queries": 12, "decoder_layers": 2, "encoder_layers": 1,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "decoder_in_channels": [32, 32, 32], "feat_strides": [8, 16, 32], "num_labels": LABELS, "decoder_n_points": 2,
}  # fmt: skip
PROCESSORS = {
    "detr": ("DetrImageProcessor", {"size": {"shortest_edge": 64, "longest_edge": 96}}),
    "rt_detr": ("RTDetrImageProcessor", {"size": {"height": 64, "width": 64}, "do_normalize": False}),
    "d_fine": ("RTDetrImageProcessor", {"size": {"height": 64, "width": 64}, "do_normalize": False}),
    "yolos": ("YolosImageProcessor", {"size": {"shortest_edge": 64, "longest_edge": 96}}),
    "vit": ("ViTImageProcessor", {"size": {"height": 32, "width": 32}}),
    "swin": ("ViTImageProcessor", {"size": {"height": 64, "width": 64}}),
    "dinov2": ("BitImageProcessor", {"size": {"shortest_edge": 40}, "crop_size": {"height": 28, "width": 28}}),
    "resnet": ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.875}),
    "clip": ("CLIPImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
    "siglip": ("SiglipImageProcessor", {"size": {"height": 32, "width": 32}}),
}
DUAL = ("clip", "siglip")
DETECTORS, BACKBONES = ("detr", "rt_detr", "d_fine", "yolos"), ("vit", "swin", "dinov2", "resnet", "clip", "siglip")


def write_model(folder: Path, kind: str, *, seed: int = 0) -> Path:
    """Save a random model of one of PROCESSORS with its processor; returns the folder."""
    torch.manual_seed(seed)
    model: Any = _build(kind)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Else all queries of a fresh detector find one box with one score.
            if parameter.dim() >= 2 and any(part in name for part in ("class", "bbox", "query", "detection_tokens")):
                parameter.normal_(std=0.3 if "bbox" in name else 1.0)
            elif kind == "detr" and parameter.dim() >= 2 and "decoder" in name:
                parameter.normal_(std=0.5)
    model.eval().save_pretrained(folder)
    class_name, settings = PROCESSORS[kind]
    processor = getattr(transformers, class_name + "Pil")(**settings)
    processor.save_pretrained(folder)
    return folder


def _build(kind: str) -> Any:
    match kind:
        case "detr":
            backbone = ResNetConfig(**RESNET, out_features=["stage4"])
            return DetrForObjectDetection(
                DetrConfig(
                    use_timm_backbone=False,
                    use_pretrained_backbone=False,
                    backbone_config=backbone,
                    d_model=32,
                    num_queries=12,
                    encoder_layers=1,
                    decoder_layers=1,
                    encoder_ffn_dim=32,
                    decoder_ffn_dim=32,
                    encoder_attention_heads=2,
                    decoder_attention_heads=2,
                    num_labels=LABELS,
                    backbone=None,
                )
            )
        case "rt_detr":
            backbone = transformers.RTDetrResNetConfig(**RESNET, out_features=["stage2", "stage3", "stage4"])
            return RTDetrForObjectDetection(
                RTDetrConfig(**RT_DETR, backbone_config=backbone, encoder_in_channels=[12, 16, 24])
            )
        case "d_fine":
            backbone = transformers.RTDetrResNetConfig(**RESNET, out_features=["stage2", "stage3", "stage4"])
            return DFineForObjectDetection(
                DFineConfig(**RT_DETR, backbone_config=backbone, encoder_in_channels=[12, 16, 24])
            )
        case "yolos":
            return YolosForObjectDetection(
                YolosConfig(**TOWER, image_size=[64, 96], patch_size=16, num_detection_tokens=12, num_labels=LABELS)
            )
        case "vit":
            return ViTModel(ViTConfig(**TOWER, image_size=32, patch_size=8))
        case "swin":
            return SwinModel(
                SwinConfig(image_size=64, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
            )
        case "dinov2":
            return Dinov2Model(Dinov2Config(**TOWER, image_size=28, patch_size=7))
        case "resnet":
            return ResNetModel(ResNetConfig(**RESNET))
        case "clip":
            return CLIPModel(CLIPConfig(**_towers(), projection_dim=16))
        case "siglip":
            return SiglipModel(SiglipConfig(**_towers()))
    raise ValueError(kind)


def _towers() -> dict[str, Any]:
    text = {**TOWER, "vocab_size": len(WORDS), "max_position_embeddings": 16, "pad_token_id": 1, "bos_token_id": 0,
            "eos_token_id": 2}  # fmt: skip
    return {"vision_config": {**TOWER, "image_size": 32, "patch_size": 8}, "text_config": text}


# Letters with and without CLIP's mark of a word's end: a vocabulary without merges, into which everything fits.
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'\"-:;()&/#$%+*é"
WORDS = {
    word: number
    for number, word in enumerate(
        ["<|startoftext|>", "<pad>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    )
}


def write_dual_encoder(folder: Path, kind: str = "clip", *, seed: int = 0) -> Path:
    """A random CLIP or SigLIP with image processor and CLIP's tokenizer over single letters."""
    write_model(folder, kind, seed=seed)
    (folder / "vocab.json").write_text(json.dumps(WORDS, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), pad_token="<pad>", model_max_length=16
    )
    tokenizer.save_pretrained(folder)
    return folder

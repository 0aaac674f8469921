"""A BERT of 2 layers and 32 numbers with random weights, and a tokenizer for the captions of the tiny dataset."""

from __future__ import annotations

from pathlib import Path

import torch

# Some words of the tiny dataset are one piece, some are two, and "tall" is unknown.
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "and", "red", "blue", "green", "cir", "##cle", "squ",
          "##are", "star", "small", "old", "##er", "un", "##used"]  # fmt: skip


def write_bert(folder: Path, *, seed: int = 0, positions: int = 64) -> Path:
    """Write the model as transformers does: config.json, model.safetensors; and vocab.txt."""
    from transformers import BertConfig, BertModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(PIECES), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
            max_position_embeddings=positions,
            # Larger than usual, or everything that a random model says is nearly the same.
            initializer_range=0.3,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return folder

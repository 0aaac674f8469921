"""What batches of like length save a text encoder: encoding and a training step, prints a Markdown table.

    python benchmarks/text_encoders.py                              # a minute or two on one core
    python benchmarks/text_encoders.py --layers 12 --width 768      # BERT-base
    python benchmarks/text_encoders.py --device cuda

Captions are made up, with lengths as in this field: 14 word pieces in the middle, the longest over 50. Plain and
bucketed batches take turns within one process, so that both meet the same load of the machine; the ratio is that of
the medians. The BiGRU has no padding to save: its ratio says how much of the rest is noise.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from lgsf.data.batches.training import bucketed
from lgsf.data.tokens import EncodedCaptions
from lgsf.models.build import make_repeatable
from lgsf.models.layers.bert import BertEncoder
from lgsf.models.layers.encoders import BiGRUEncoder, l2_normalize
from lgsf.models.layers.pooling import GeneralizedPooling
from lgsf.models.pretrained import PretrainedBert
from lgsf.runs.provenance import device_name

DIM, VOCABULARY = 256, 3000
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def made_up_captions(n: int, random: np.random.Generator) -> EncodedCaptions:
    """Lengths are log-normal around 14 pieces, at least 4."""
    lengths = np.clip(np.exp(random.normal(np.log(14), 0.35, n)).astype(int), 4, 64)
    offsets = np.array([0, *np.cumsum(lengths)], dtype=np.int64)
    tokens = random.integers(5, VOCABULARY, offsets[-1]).astype(np.int32)
    return EncodedCaptions(tokens, np.zeros_like(tokens), offsets)


def bert(layers: int, width: int) -> BertEncoder:
    """A BERT with random weights: what it costs does not depend on them."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(WordPiece({piece: place for place, piece in enumerate(SPECIAL)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    config = {
        "model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": width // 32 if width < 768 else width // 64, "intermediate_size": 4 * width,
    }  # fmt: skip
    return BertEncoder(PretrainedBert(config=config, tokenizer=tokenizer.to_str()), dim=DIM)


class TextSide(nn.Module):
    """An encoder and GPO, as in VSE-infinity."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.pooling = encoder, GeneralizedPooling()

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return l2_normalize(self.pooling(self.encoder(tokens, mask), mask))


def run(model: TextSide, captions: EncodedCaptions, order: np.ndarray, size: int, *, train: bool) -> float:
    """Seconds that all captions take in this order, `size` at a time."""
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    model.train(train)
    begin = time.perf_counter()
    with torch.inference_mode(not train):
        for start in range(0, len(order), size):
            tokens, mask = (torch.from_numpy(x).to(device) for x in captions.padded(order[start : start + size]))
            out = model(tokens, mask)
            if train:
                optimizer.zero_grad(set_to_none=True)
                (out @ out.T).square().mean().backward()
                optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def compare(measure: Callable[[np.ndarray], float], orders: list[np.ndarray], rounds: int) -> list[float]:
    """Median seconds of each order, taking turns, after one round to warm up."""
    seconds: list[list[float]] = [[] for _ in orders]
    for turn in range(rounds + 1):
        for place, order in enumerate(orders):
            spent = measure(order)
            if turn:
                seconds[place].append(spent)
    return [statistics.median(values) for values in seconds]


def main() -> None:
    """Measure a BERT and a BiGRU and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--captions", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    make_repeatable(device, arguments.threads)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    captions = made_up_captions(arguments.captions, random)
    shuffled = random.permutation(arguments.captions)
    tasks = {
        "encoding, 256 at a time": (False, 256, np.argsort(captions.lengths, kind="stable")),
        "training, 64 at a time": (True, 64, bucketed(shuffled, captions.lengths, 64, 16, random)),
    }
    encoders = {
        f"BERT, {arguments.layers} layers of {arguments.width}": bert(arguments.layers, arguments.width),
        "BiGRU": BiGRUEncoder(vocabulary_size=VOCABULARY, word_dim=300, dim=DIM),
    }
    print(
        f"{device_name(device)}, {arguments.threads} thread(s), torch {torch.__version__}, {len(captions)} captions\n"
    )
    print("| encoder | task | plain, ms per caption | like lengths, ms per caption | ratio | padded tokens, ratio |")
    print("|---|---|---:|---:|---:|---:|", flush=True)
    for name, encoder in encoders.items():
        model = TextSide(encoder).to(device)
        for task, (train, size, order) in tasks.items():
            padded = [
                sum(captions.padded(o[s : s + size])[0].size for s in range(0, len(o), size)) for o in (shuffled, order)
            ]
            plain, like = compare(
                lambda o, m=model, s=size, t=train: run(m, captions, o, s, train=t),  # type: ignore[misc]
                [shuffled, order], arguments.rounds,
            )  # fmt: skip
            per = 1000 / len(captions)
            print(f"| {name} | {task} | {plain * per:.2f} | {like * per:.2f} | {plain / like:.2f} |"
                  f" {padded[0] / padded[1]:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

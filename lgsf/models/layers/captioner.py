"""Caption decoder over a sequence of image features: S2VT with attention (Venugopalan et al. 2015), as VSRN uses it.

It serves as a second loss: embeddings from which the caption can be written hold what the caption says.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lgsf.models.kernels import forms
from lgsf.models.kernels.gru import RaggedGRU
from lgsf.models.kernels.packing import by_sample, pack
from lgsf.models.layers.encoders import last_state


class Captioner(nn.Module):
    """A GRU reads the features, another one writes the caption and attends to the first one's states."""

    def __init__(self, *, feature_dim: int, vocabulary_size: int, dim: int, word_dim: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(feature_dim, dim)
        self.reader = RaggedGRU(input_dim=dim, dim=dim, bidirectional=False)
        self.embed = nn.Embedding(vocabulary_size, word_dim)
        self.attend_state, self.attend_reader = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim)
        self.attend = nn.Linear(dim, 1, bias=False)
        self.writer = nn.GRUCell(word_dim + dim, dim)
        self.leave = nn.Linear(dim, vocabulary_size)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_normal_(self.enter.weight)
        nn.init.xavier_normal_(self.leave.weight)

    def forward(self, features: Tensor, mask: Tensor, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Negative log-likelihood of the captions given the features, summed over words, mean over captions.

        features (n, length, feature_dim) float32, mask (n, length) bool, valid ones first; tokens (n, n_words)
        int64 from <start> to <end>, token_mask (n, n_words) bool. As published, every token after <start> is
        predicted, and one padding token after <end>.
        """
        read = self.reader(self.dropout(self.enter(features)), mask)
        state, keys, words = last_state(read, mask), self.attend_reader(read), self.embed(tokens)
        states = []
        for step in range(tokens.shape[1]):
            logits = self.attend(torch.tanh(keys + self.attend_state(state).unsqueeze(1))).squeeze(2)
            weights = logits.masked_fill(~mask, -torch.inf).softmax(1)
            context = torch.bmm(weights.unsqueeze(1), read).squeeze(1)
            state = self.writer(self.dropout(torch.cat([words[:, step], context], 1)), state)
            states.append(state)
        targets = F.pad(tokens.masked_fill(~token_mask, 0)[:, 1:], (0, 1))
        if forms.blocked(tokens):
            predictions, targets = self.leave(torch.stack(states, 1)[token_mask]), targets[token_mask]
        else:
            packing = by_sample(token_mask)
            predictions = self.leave(pack(torch.stack(states, 1), packing))
            targets = targets.flatten().index_select(0, packing.places)
        return F.cross_entropy(predictions, targets, reduction="sum") / len(tokens)

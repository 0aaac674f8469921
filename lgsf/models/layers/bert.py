"""BERT (Devlin et al., NAACL 2019) as a text encoder: last hidden states, one linear layer, as in VSE-infinity."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from lgsf.data.wordpiece import WordPieces
from lgsf.models.pretrained import PretrainedBert, transformers_missing
from lgsf.system.errors import LgsfError


class BertEncoder(nn.Module):
    """transformers' BertModel without its pooler, then a linear layer to the width of the embeddings.

    Every piece counts as a word, [CLS] and [SEP] included, as in the code of VSE-infinity and HREM. The linear
    layer starts as torch starts it, as theirs do.
    """

    kind: ClassVar[str] = "BERT"

    def __init__(self, files: PretrainedBert | None, *, dim: int) -> None:
        """Raises LgsfError where `files` is absent, or transformers is not installed."""
        super().__init__()
        if files is None:
            raise LgsfError("a text encoder of kind bert was asked for and none was read: give its path in text.path.")
        try:
            from transformers import BertConfig, BertModel
        except ImportError as error:
            raise transformers_missing(error) from None
        config = BertConfig.from_dict(dict(files.config))
        self.bert = BertModel(config, add_pooling_layer=False)
        if files.read_weights is not None:
            self.bert.load_state_dict(files.read_weights())
        self.linear = nn.Linear(config.hidden_size, dim)
        self.tokenizer = WordPieces(files.tokenizer, longest=config.max_position_embeddings)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(n, n_pieces) int64, (n, n_pieces) bool, valid pieces first -> (n, n_pieces, dim), zero on padding."""
        hidden: Tensor = self.bert(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        out: Tensor = self.linear(hidden)
        return out.masked_fill(~mask.unsqueeze(2), 0.0)

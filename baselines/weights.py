"""Names of weights: from the state dicts of the authors' checkpoints to ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lgsf.system.errors import LgsfError

# The BERT of VSE-infinity and HREM; its pooler is created and never used, its position numbers are no weights.
PUBLISHED_BERT = {"txt_enc.bert.": "text_encoder.bert.", "txt_enc.linear.": "text_encoder.linear."}
UNUSED_BERT = ("txt_enc.bert.pooler.", "txt_enc.bert.embeddings.position_ids")


def rename(state: Mapping[str, Tensor], names: Mapping[str, str], *, unused: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """`state` with the prefix of every name replaced as `names` says (published -> ours).

    The names of the authors' parts come first: img_enc., txt_enc., sim_enc. A longer prefix goes before a
    shorter one. Names that start with one of `unused` are left out: weights that the published code creates
    and never uses. Raises LgsfError for a name that is neither.
    """
    out = {}
    for name, tensor in state.items():
        if name.startswith(unused):
            continue
        prefix = max((p for p in names if name.startswith(p)), key=len, default=None)
        if prefix is None:
            raise LgsfError(f"the checkpoint holds {name!r}, which this method does not have; is it another method's?")
        out[names[prefix] + name[len(prefix) :]] = tensor
    return out

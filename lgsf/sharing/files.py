"""What a published run consists of: all that opens it, and the ranks that its numbers follow from."""

from __future__ import annotations

from lgsf.pretrained.read import RUN_FILES
from lgsf.runs.log import NAME as LOG
from lgsf.runs.origin import WEIGHTS
from lgsf.runs.record import FILE as RECORD

VOCABULARY, MANIFEST, RANKS, CARD = "vocabulary.json", "dataset.json", "test/ranks.npz", "README.md"
BERT = tuple(f"bert/{name}" for name in RUN_FILES)
NEEDED = (RECORD, WEIGHTS, VOCABULARY, MANIFEST)
PUBLISHED = (*NEEDED, *BERT, LOG, RANKS, CARD)  # nothing else is sent, and nothing else is fetched

"""A run on disk: everything that a run leaves, written and read in one place.

<run>/model.safetensors          weights that encode and compare (weights)
<run>/training_only.safetensors  weights that only training used (weights)
<run>/bert/                      optional: configuration and tokenizer of its text encoder, a BERT
<run>/vocabulary.json            optional: words of its own, where it was not trained on the dataset's
<run>/run.json                   what was run, on what, by what, and how it ended (record)
<run>/log.jsonl                  one line per epoch (log)
<run>/<split>/ranks.npz          ranks of every query; all tables come from here (ranks)
<run>/<split>/top.npz            best candidates and scores of judged pairs (ranks)
<run>/<split>/relevance.npz      ranks of everything that is right, where the data know more than the own pair (relevance)
<run>/test/gallery.npz           what the method attends to in a few pairs
"""

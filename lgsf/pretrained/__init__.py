"""What others trained, from files: a BERT, word vectors, released checkpoints."""

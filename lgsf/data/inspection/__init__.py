"""What a prepared dataset is and what looks wrong with it: `lgsf inspect`."""

"""What methods share: encoders, poolings, similarities, losses."""

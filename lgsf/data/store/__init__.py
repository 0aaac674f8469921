"""Regions on disk: as float32, float16, or int8 with a scale per region; one way to write and one to read each."""

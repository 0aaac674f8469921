"""From scores to ranks to numbers: numpy alone, no files."""

"""Published methods, one file each, on the blocks of lgsf.models."""

"""How files are put on the disk and recognised again: whole or absent, sealed, and as they were when they were opened."""

"""The process and its files: whole-or-absent files, hashes, locks, signals, logs, import closures."""

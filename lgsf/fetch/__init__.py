"""Public files from the network: only those that the configuration names, by checksum, or put in place by hand."""

"""What `import lgsf` offers to a notebook: datasets, trained runs, ranks, comparisons, pictures of answers."""

"""The section "Results on …" of one dataset: what stands under each of its headings, and all of it in order."""

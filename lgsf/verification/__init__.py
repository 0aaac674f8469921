"""Follow numbers back to the data: report, tables, ranks, run, weights, dataset."""

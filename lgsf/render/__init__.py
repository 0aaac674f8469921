"""Numbers, tables and plots as plain shapes and as Markdown; knows no run."""

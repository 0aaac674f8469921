# Tables from ranks alone: no weights are read, and missing runs are shown as missing.
EFFECTS = ["factorial.parquet", "factorial.csv"] if CONFIG.factorial else []


rule tables:
    input:
        "<tables>/comparison/summary.md",
        "<tables>/comparison/verdicts.md",


rule ablations:
    input:
        branch("ablations" in TABLES, then="<tables>/ablations/summary.md"),


rule baselines:
    input:
        branch("baselines" in TABLES, then="<tables>/baselines/summary.md"),


rule table:
    input:
        table_ranks,
        code=code("lgsf.tables.write"),
    output:
        "<tables>/{table}/runs.parquet",
        "<tables>/{table}/runs.csv",
        "<tables>/{table}/comparisons.parquet",
        "<tables>/{table}/comparisons.csv",
        "<tables>/{table}/beyond.parquet",
        "<tables>/{table}/beyond.csv",
        "<tables>/{table}/twins.parquet",
        "<tables>/{table}/twins.csv",
        "<tables>/{table}/summary.tex",
        [f"<tables>/{{table}}/{file}" for file in EFFECTS],
        report(
            "<tables>/{table}/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"runs": "{table}", "table": "Mean and spread over seeds"},
        ),
        report(
            "<tables>/{table}/differences.csv",
            caption="../report/differences.rst",
            category="Tables",
            labels={"runs": "{table}", "table": "Differences to the reference method"},
        ),
        markdown="<tables>/{table}/summary.md",
    log:
        "<logs>/tables/{table}.log",
    benchmark:
        "<benchmarks>/tables/{table}.tsv"
    conda:
        "../../environment.yml"
    params:
        experiment=table_experiment,
        results=subpath(input[0], ancestor=5),
        out=subpath(output.markdown, parent=True),
    message:
        "Collect runs into the table of {wildcards.table}"
    shell:
        f"{LGSF} tables"
        " --experiment {params.experiment:q} --results {params.results:q}"
        " --out {params.out:q} --log {log:q}"


# Apart from the tables: an edit of the published numbers repeats this and the page alone.
rule compare:
    input:
        "<tables>/comparison/runs.parquet",
        "<tables>/comparison/comparisons.parquet",
        published=PUBLISHED,
        code=code("lgsf.verdict.compare"),
    output:
        "<tables>/comparison/verdicts.parquet",
        "<tables>/comparison/claims.parquet",
        report(
            "<tables>/comparison/verdicts.csv",
            caption="../report/verdicts.rst",
            category="Tables",
            labels={"runs": "comparison", "table": "Published numbers"},
        ),
        report(
            "<tables>/comparison/claims.csv",
            caption="../report/claims.rst",
            category="Tables",
            labels={"runs": "comparison", "table": "The claim"},
        ),
        markdown="<tables>/comparison/verdicts.md",
    log:
        "<logs>/compare.log",
    benchmark:
        "<benchmarks>/compare.tsv"
    conda:
        "../../environment.yml"
    params:
        experiment=EXPERIMENT,
        tables=subpath(output.markdown, parent=True),
    message:
        "Hold the runs against published numbers and the claim"
    shell:
        f"{LGSF} compare"
        " --experiment {params.experiment:q} --tables {params.tables:q}"
        " --table {input.published[0]:q} --out {params.tables:q} --log {log:q}"

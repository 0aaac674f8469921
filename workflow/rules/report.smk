# Tables from ranks alone, pages from tables: neither reads weights, and missing runs are shown as missing.
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
    threads: 1
    resources:
        gpu=0,
    params:
        experiment=table_experiment,
        results=subpath(input[0], ancestor=5),
        out=subpath(output.markdown, parent=True),
    message:
        "Collect runs into the table of {wildcards.table}"
    shell:
        "python -m lgsf tables --experiment {params.experiment:q} --results {params.results:q}"
        " --out {params.out:q} --log {log:q}"


# What the gallery shows, apart from the page: data and photos may go afterwards.
rule album:
    input:
        ancient([f"<resources>/{d}/test/{file}" for d in CONFIG.run.datasets for file in SPLIT_FILES]),
        datasets=[f"<resources>/{d}/dataset.json" for d in CONFIG.run.datasets],
        tables="<tables>/comparison/summary.md",
        code=code("lgsf.gallery.collect"),
    output:
        ALBUMS,
    log:
        "<logs>/album.log",
    benchmark:
        "<benchmarks>/album.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
    params:
        experiment=experiment(TABLES["comparison"]),
        results=subpath(input.tables, ancestor=4),
        resources=subpath(input[0], ancestor=3),
        photos=photos(),
        out=subpath(output[0], parent=True),
    message:
        "Collect answers and pictures for the gallery"
    shell:
        "python -m lgsf album --experiment {params.experiment:q} --results {params.results:q}"
        " --resources {params.resources:q} --photos {params.photos:q} --out {params.out:q} --log {log:q}"


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
    threads: 1
    resources:
        gpu=0,
    params:
        experiment=experiment(TABLES["comparison"]),
        tables=subpath(output.markdown, parent=True),
    message:
        "Hold the runs against published numbers and the claim"
    shell:
        "python -m lgsf compare --experiment {params.experiment:q} --tables {params.tables:q}"
        " --table {input.published[0]:q} --out {params.tables:q} --log {log:q}"


rule report:
    input:
        "<tables>/comparison/verdicts.md",
        code("lgsf.report.page"),
        TEMPLATES,
        ALBUMS,
        existing_diagnoses,
        tables="<tables>/comparison/summary.md",
    output:
        "<report>/report.md",
        page=report(
            "<report>/index.html",
            caption="../report/page.rst",
            category="Report",
            labels={"page": "Comparison"},
        ),
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
    params:
        experiment=experiment(TABLES["comparison"]),
        results=subpath(input.tables, ancestor=4),
        tables=subpath(input.tables, parent=True),
        out=subpath(output.page, parent=True),
    message:
        "Render the report"
    shell:
        "python -m lgsf report --experiment {params.experiment:q} --results {params.results:q}"
        " --tables {params.tables:q} --out {params.out:q} --log {log:q}"


# Without inputs and outputs on purpose: it never trains anything and runs whenever it is asked for.
rule partial_report:
    log:
        "<logs>/partial_report.log",
    benchmark:
        "<benchmarks>/partial_report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
    params:
        experiment=experiment(TABLES["comparison"]),
        results=RESULTS,
        resources=RESOURCES,
        photos=photos(),
        published=PUBLISHED[0],
        out=f"{REPORT}/partial",
    message:
        "Render a report of the runs that exist"
    shell:
        "python -m lgsf tables --experiment {params.experiment:q} --results {params.results:q}"
        " --out {params.out:q} --log {log:q} &&"
        " python -m lgsf album --experiment {params.experiment:q} --results {params.results:q}"
        " --resources {params.resources:q} --photos {params.photos:q} --out {params.out:q}/album --log {log:q} &&"
        " python -m lgsf compare --experiment {params.experiment:q} --tables {params.out:q}"
        " --table {params.published:q} --out {params.out:q} --log {log:q} &&"
        " python -m lgsf report --experiment {params.experiment:q} --results {params.results:q}"
        " --tables {params.out:q} --out {params.out:q} --log {log:q}"

# The report. What its gallery shows is collected apart, so that the page needs neither data nor weights.
ALBUMS = [f"<tables>/comparison/album/{dataset}.json" for dataset in CONFIG.run.datasets]
PHOTOS = json.dumps(STUDY.photos())


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
    params:
        experiment=EXPERIMENT,
        results=subpath(input.tables, ancestor=4),
        resources=subpath(input[0], ancestor=3),
        photos=PHOTOS,
        out=subpath(output[0], parent=True),
    message:
        "Collect answers and pictures for the gallery"
    shell:
        f"{LGSF} album"
        " --experiment {params.experiment:q} --results {params.results:q}"
        " --resources {params.resources:q} --photo-folders {params.photos:q} --out {params.out:q} --log {log:q}"


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
    params:
        experiment=WORDED,
        results=subpath(input.tables, ancestor=4),
        tables=subpath(input.tables, parent=True),
        out=subpath(output.page, parent=True),
    message:
        "Render the report"
    shell:
        f"{LGSF} report"
        " --experiment {params.experiment:q} --results {params.results:q}"
        " --tables {params.tables:q} --out {params.out:q} --log {log:q}"


# Without inputs and outputs on purpose: it never trains anything and runs whenever it is asked for.
rule partial_report:
    log:
        "<logs>/partial_report.log",
    benchmark:
        "<benchmarks>/partial_report.tsv"
    conda:
        "../../environment.yml"
    params:
        experiment=WORDED,
        results=RESULTS,
        resources=RESOURCES,
        photos=PHOTOS,
        published=PUBLISHED[0],
        out=f"{REPORT}/partial",
    message:
        "Render a report of the runs that exist"
    shell:
        f"{LGSF} tables"
        " --experiment {params.experiment:q} --results {params.results:q}"
        " --out {params.out:q} --log {log:q} &&"
        f" {LGSF} album"
        " --experiment {params.experiment:q} --results {params.results:q}"
        " --resources {params.resources:q} --photo-folders {params.photos:q} --out {params.out:q}/album --log {log:q} &&"
        f" {LGSF} compare"
        " --experiment {params.experiment:q} --tables {params.out:q}"
        " --table {params.published:q} --out {params.out:q} --log {log:q} &&"
        f" {LGSF} report"
        " --experiment {params.experiment:q} --results {params.results:q}"
        " --tables {params.out:q} --out {params.out:q} --log {log:q}"

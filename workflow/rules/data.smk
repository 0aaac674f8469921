# Every source becomes the one layout of lgsf/data/layout.py.
if CONFIG.downloads:

    # Where the workflow runs: nodes of a cluster seldom see the network.
    localrules:
        fetch,

    # Only for what a configuration names. The files are no outputs, Snakemake would delete them before a rerun:
    # the record stands for them, which is written when they have their checksum.
    rule fetch:
        output:
            "<resources>/downloads/{download}.json",
        log:
            "<logs>/downloads/{download}.log",
        conda:
            "../../environment.yml"
        params:
            settings=download_settings,
            offline="yes" if CONFIG.offline else "no",
        message:
            "Fetch {wildcards.download}"
        shell:
            f"{LGSF} fetch"
            " --name {wildcards.download} --settings {params.settings:q}"
            " --offline {params.offline} --out {output:q} --log {log:q}"


rule prepare:
    input:
        source=source_files,
        downloads=download_records,
        shards=shard_files,
        code=reader_code,
    output:
        "<dataset>/vocabulary.json",
        split_files(*SPLITS),
        manifest="<dataset>/dataset.json",
    log:
        "<logs>/{dataset}/prepare.log",
    benchmark:
        "<benchmarks>/{dataset}/prepare.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=dataset_settings,
        sampled=source_sample,
        out=subpath(output.manifest, parent=True),
    message:
        "Prepare dataset {wildcards.dataset}"
    shell:
        f"{LGSF} prepare"
        " --name {wildcards.dataset} --settings {params.settings:q}"
        " --out {params.out:q} --log {log:q}"

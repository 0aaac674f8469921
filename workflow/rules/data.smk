# Every source becomes the one layout of lgsf/data/layout.py.


rule prepare:
    input:
        source=source_files,
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
        out=subpath(output.manifest, parent=True),
    message:
        "Prepare dataset {wildcards.dataset}"
    shell:
        f"{LGSF} prepare"
        " --name {wildcards.dataset} --settings {params.settings:q}"
        " --out {params.out:q} --log {log:q}"

# Models that were trained elsewhere. An edit of one of their files imports it again, and repeats tables and report.
rule import_model:
    input:
        ancient(split_files("dev", "test")),
        files=import_files,
        dataset="<dataset>/dataset.json",
        vocabulary="<dataset>/vocabulary.json",
        code=import_code,
    output:
        "<results>/{dataset}/{imported}/seed{seed}/test/ranks.npz",
        run="<results>/{dataset}/{imported}/seed{seed}/run.json",
    log:
        "<logs>/{dataset}/{imported}/seed{seed}/import.log",
    benchmark:
        "<benchmarks>/{dataset}/{imported}/seed{seed}/import.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=import_gpu,
        scores_mb=CONFIG.memory_mb,
    params:
        settings=import_settings,
        dataset=subpath(input.dataset, parent=True),
        out=subpath(output.run, parent=True),
        device=CONFIG.device,
    message:
        "Import {wildcards.imported} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        f"{LGSF} import-model"
        " --settings {params.settings:q} --name {wildcards.imported} --seed {wildcards.seed}"
        " --dataset {params.dataset:q} --out {params.out:q} --device {params.device} --threads {threads}"
        " --memory-mb {resources.scores_mb} --log {log:q}"

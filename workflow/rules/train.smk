# One config per method, one training per seed. An edit repeats what depends on it and nothing else.


rule configure:
    input:
        code=method_code("lgsf.models.sizing"),
    output:
        "<method>/config.json",
    log:
        "<logs>/{dataset}/{method}/configure.log",
    benchmark:
        "<benchmarks>/{dataset}/{method}/configure.tsv"
    conda:
        "../../environment.yml"
    resources:
        experiment=CONFIG.experiment,  # whose run it is; unlike params, another name repeats nothing
    params:
        settings=run_settings,
    message:
        "Check the settings of {wildcards.method} on {wildcards.dataset}"
    shell:
        f"{LGSF} configure"
        " --settings {params.settings:q} --planned-by {resources.experiment} --out {output:q} --log {log:q}"


# An interrupted training leaves its state in <run>/.resume, which is no output: Snakemake removes
# outputs of failed jobs. The same command goes on from there.
rule train:
    input:
        ancient(split_files("train", "dev")),
        config="<method>/config.json",
        dataset="<dataset>/dataset.json",
        vocabulary="<dataset>/vocabulary.json",
        pretrained=pretrained_files,
        code=method_code("lgsf.training.train"),
    output:
        "<run>/training_only.safetensors",
        "<run>/run.json",
        "<run>/log.jsonl",
        model="<run>/model.safetensors",
    log:
        "<logs>/{dataset}/{method}/seed{seed}/train.log",
    benchmark:
        "<benchmarks>/{dataset}/{method}/seed{seed}/train.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads * CONFIG.processes
    resources:
        gpu=CONFIG.processes * int(CONFIG.device == "cuda"),
    params:
        dataset=subpath(input.dataset, parent=True),
        out=subpath(output.model, parent=True),
    message:
        "Train {wildcards.method} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        f"{LGSF} train"
        " --config {input.config:q} --dataset {params.dataset:q}"
        " --seed {wildcards.seed} --out {params.out:q} --log {log:q}"

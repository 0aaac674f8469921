# Ranks of every query, for trained methods and for controls that need no training.
rule evaluate:
    input:
        ancient(split_files("dev", "test")),
        model="<run>/model.safetensors",
        run="<run>/run.json",
        config="<method>/config.json",
        dataset="<dataset>/dataset.json",
        vocabulary="<dataset>/vocabulary.json",
        code=method_code("lgsf.evaluation.evaluate"),
    output:
        "<run>/dev/ranks.npz",
        "<run>/dev/top.npz",
        "<run>/dev/relevance.npz",
        "<run>/test/ranks.npz",
        "<run>/test/top.npz",
        "<run>/test/relevance.npz",
        "<run>/test/gallery.npz",
    log:
        "<logs>/{dataset}/{method}/seed{seed}/evaluate.log",
    benchmark:
        "<benchmarks>/{dataset}/{method}/seed{seed}/evaluate.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=int(CONFIG.device == "cuda"),
        scores_mb=CONFIG.memory_mb,
    params:
        dataset=subpath(input.dataset, parent=True),
        run=subpath(input.model, parent=True),
    message:
        "Rank with {wildcards.method} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        f"{LGSF} evaluate"
        " --run {params.run:q} --dataset {params.dataset:q}"
        " --memory-mb {resources.scores_mb} --log {log:q}"


rule ensemble:
    input:
        member_files("run.json"),
        ancient(split_files("dev", "test")),
        models=member_files("model.safetensors"),
        dataset="<dataset>/dataset.json",
        vocabulary="<dataset>/vocabulary.json",
        code=ensemble_code,
    output:
        "<ensemble>/dev/ranks.npz",
        "<ensemble>/dev/top.npz",
        "<ensemble>/dev/relevance.npz",
        "<ensemble>/test/ranks.npz",
        "<ensemble>/test/top.npz",
        "<ensemble>/test/relevance.npz",
        run="<ensemble>/run.json",
    log:
        "<logs>/{dataset}/{ensemble}/seed{seed}/ensemble.log",
    benchmark:
        "<benchmarks>/{dataset}/{ensemble}/seed{seed}/ensemble.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=int(CONFIG.device == "cuda"),
        scores_mb=CONFIG.memory_mb,
    params:
        members=member_runs,
        dataset=subpath(input.dataset, parent=True),
        out=subpath(output.run, parent=True),
    message:
        "Rank with the mean of {wildcards.ensemble} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        f"{LGSF} ensemble"
        " --members {params.members:q} --dataset {params.dataset:q}"
        " --name {wildcards.ensemble} --seed {wildcards.seed} --out {params.out:q}"
        " --memory-mb {resources.scores_mb} --log {log:q}"


rule control:
    input:
        ancient(split_files("dev", "test")),
        dataset="<dataset>/dataset.json",
        code=code("lgsf.evaluation.controls"),
    output:
        "<control>/dev/ranks.npz",
        "<control>/dev/top.npz",
        "<control>/dev/relevance.npz",
        "<control>/test/ranks.npz",
        "<control>/test/top.npz",
        "<control>/test/relevance.npz",
        run="<control>/run.json",
    log:
        "<logs>/{dataset}/{control}/seed{seed}/control.log",
    benchmark:
        "<benchmarks>/{dataset}/{control}/seed{seed}/control.tsv"
    conda:
        "../../environment.yml"
    params:
        dataset=subpath(input.dataset, parent=True),
        out=subpath(output.run, parent=True),
    message:
        "Rank by the control {wildcards.control} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        f"{LGSF} control"
        " --kind {wildcards.control} --dataset {params.dataset:q}"
        " --seed {wildcards.seed} --out {params.out:q} --log {log:q}"

# What starts from photos: features, one job per shard, and dual encoders off the shelf.
rule extract:
    input:
        source=source_files,
        downloads=download_records,
        model=extraction_model,
        code=code("lgsf.extract.extract"),
    output:
        checksums="<dataset>/shards/{shard}-of-{shards}.sha256",
    log:
        "<logs>/{dataset}/extract/{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/{dataset}/extract/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        shard="[0-9]+",
        shards="[0-9]+",
    conda:
        "../../environment.yml"
    threads: extraction_threads
    resources:
        gpu=int(CONFIG.device == "cuda"),
    params:
        settings=dataset_settings,
        out=subpath(output.checksums, ancestor=2),
        device=CONFIG.device,
    message:
        "Extract features of {wildcards.dataset}, shard {wildcards.shard} of {wildcards.shards}"
    shell:
        f"{LGSF} extract"
        " --name {wildcards.dataset} --settings {params.settings:q}"
        " --shard {wildcards.shard} --out {params.out:q} --device {params.device} --log {log:q}"


rule zero_shot:
    input:
        ancient(split_files("dev", "test")),
        dataset="<dataset>/dataset.json",
        model=zero_shot_model,
        code=code("lgsf.evaluation.zero_shot"),
    output:
        "<results>/{dataset}/{zero_shot}/seed0/dev/ranks.npz",
        "<results>/{dataset}/{zero_shot}/seed0/dev/top.npz",
        "<results>/{dataset}/{zero_shot}/seed0/dev/relevance.npz",
        "<results>/{dataset}/{zero_shot}/seed0/test/ranks.npz",
        "<results>/{dataset}/{zero_shot}/seed0/test/top.npz",
        "<results>/{dataset}/{zero_shot}/seed0/test/relevance.npz",
        run="<results>/{dataset}/{zero_shot}/seed0/run.json",
    log:
        "<logs>/{dataset}/{zero_shot}/zero_shot.log",
    benchmark:
        "<benchmarks>/{dataset}/{zero_shot}/zero_shot.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=int(CONFIG.device == "cuda"),
    params:
        settings=zero_shot_settings,
        dataset=subpath(input.dataset, parent=True),
        photos=pictures,
        out=subpath(output.run, parent=True),
        device=CONFIG.device,
    message:
        "Rank with {wildcards.zero_shot}, trained on other data, on {wildcards.dataset}"
    shell:
        f"{LGSF} zero-shot"
        " --name {wildcards.zero_shot} --settings {params.settings:q}"
        " --dataset {params.dataset:q} --photos {params.photos:q} --out {params.out:q}"
        " --device {params.device} --threads {threads} --log {log:q}"

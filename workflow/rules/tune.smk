# Tuning on dev with equal budgets: a plan for every method, its trials, and one config file with all chosen values.


rule tune:
    input:
        collect("<tuned>/{dataset}.yaml", dataset=CONFIG.run.datasets),


rule ranges:
    input:
        code=method_code("lgsf.tuning.plan"),
    output:
        "<method>/tuning/plan.json",
    log:
        "<logs>/{dataset}/{method}/ranges.log",
    benchmark:
        "<benchmarks>/{dataset}/{method}/ranges.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=tuning_settings,
    message:
        "Check the ranges of {wildcards.method} on {wildcards.dataset}"
    shell:
        f"{LGSF} ranges" " --settings {params.settings:q} --out {output:q} --log {log:q}"


# The plans of the others: a mistake in any of them is found before the first trial runs. Trials that are finished
# are kept in <method>/tuning/trial<k>, which are no outputs; the same command goes on from there.
rule trials:
    input:
        ancient(split_files("train", "dev")),
        ancient(of_tuned_methods("plan.json")),
        plan="<method>/tuning/plan.json",
        dataset="<dataset>/dataset.json",
        vocabulary="<dataset>/vocabulary.json",
        pretrained=pretrained_files,
        code=method_code("lgsf.tuning.trials"),
    output:
        "<method>/tuning/trials.jsonl",
        tuned="<method>/tuning/tuned.json",
    log:
        "<logs>/{dataset}/{method}/tune.log",
    benchmark:
        "<benchmarks>/{dataset}/{method}/tune.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=int(CONFIG.device == "cuda"),
    params:
        dataset=subpath(input.dataset, parent=True),
        out=subpath(output.tuned, parent=True),
    message:
        "Tune {wildcards.method} on {wildcards.dataset}"
    shell:
        f"{LGSF} tune"
        " --plan {input.plan:q} --dataset {params.dataset:q} --out {params.out:q} --log {log:q}"


rule tuned:
    input:
        code("lgsf.tuning.collect"),
        tuned=of_tuned_methods("tuned.json"),
    output:
        "<tuned>/{dataset}.yaml",
    log:
        "<logs>/tuned/{dataset}.log",
    benchmark:
        "<benchmarks>/tuned/{dataset}.tsv"
    conda:
        "../../environment.yml"
    params:
        experiment=json.dumps(STUDY.tuned_experiment(results=RESULTS, logs=LOGS)),
    message:
        "Write the values that were chosen on {wildcards.dataset}"
    shell:
        f"{LGSF} tuned"
        " --tuned {input.tuned:q} --experiment {params.experiment:q} --out {output:q} --log {log:q}"

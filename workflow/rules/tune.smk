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
    threads: CONFIG.threads * CONFIG.processes
    resources:
        gpu=CONFIG.processes * int(CONFIG.device == "cuda"),
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
        " --tuned {input.tuned:q} --about {params.experiment:q} --out {output:q} --log {log:q}"


# What a study on dev asks for: every listed method and seed is trained, nothing is ranked on test.
rule dev:
    input:
        collect(
            "<results>/{dataset}/{method}/seed{seed}/{file}",
            dataset=CONFIG.run.datasets,
            method=[method for method in CONFIG.run.methods if method in CONFIG.methods],
            seed=CONFIG.run.seeds,
            file=["run.json", "log.jsonl"],
        ),
        code=code("lgsf.tuning.dev"),
    output:
        "<tables>/dev/dev.csv",
        means="<tables>/dev/means.csv",
    log:
        "<logs>/tables/dev.log",
    benchmark:
        "<benchmarks>/tables/dev.tsv"
    conda:
        "../../environment.yml"
    params:
        experiment=EXPERIMENT,
        results=subpath(input[0], ancestor=4),
        out=subpath(output.means, parent=True),
    message:
        "Collect what trainings reached on dev"
    shell:
        f"{LGSF} dev"
        " --experiment {params.experiment:q} --results {params.results:q} --out {params.out:q} --log {log:q}"

# What batch-dependent evaluation of the interaction would do: apart from every comparison, only when asked for.
from lgsf.config.names import EVAL_INTERACTION

DIAGNOSES = [
    f"<results>/{dataset}/{method}/seed{seed}/transductive/diagnosis.json"
    for dataset in CONFIG.run.datasets
    for method in STUDY.diagnosed
    for seed in CONFIG.run.seeds
]
DIAGNOSIS_RANKS = [
    f"<run>/transductive/{mode}/{name}.npz"
    for mode in EVAL_INTERACTION
    for name in ("ranks", "top", "relevance")
]
DIAGNOSIS_BATCH = f"--batch-size {CONFIG.transductive.batch_size}" if CONFIG.transductive.batch_size else ""


rule diagnose_interaction:
    input:
        "<run>/training_only.safetensors",
        "<run>/run.json",
        ancient(split_files("test")),
        model="<run>/model.safetensors",
        dataset="<dataset>/dataset.json",
        vocabulary="<dataset>/vocabulary.json",
        code=method_code("lgsf.evaluation.transductive"),
    output:
        DIAGNOSIS_RANKS,
        record="<run>/transductive/diagnosis.json",
    log:
        "<logs>/{dataset}/{method}/seed{seed}/transductive.log",
    benchmark:
        "<benchmarks>/{dataset}/{method}/seed{seed}/transductive.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=int(CONFIG.device == "cuda"),
        scores_mb=CONFIG.memory_mb,
    params:
        run=subpath(input.model, parent=True),
        dataset=subpath(input.dataset, parent=True),
        out=subpath(output.record, parent=True),
        batch=DIAGNOSIS_BATCH,
    message:
        "Diagnose the interaction of {wildcards.method} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        f"{LGSF} diagnose-interaction"
        " --run {params.run:q} --dataset {params.dataset:q} --out {params.out:q}"
        " {params.batch} --memory-mb {resources.scores_mb} --log {log:q}"


rule transductive:
    input:
        code("lgsf.report.transductive"),
        TEMPLATES,
        DIAGNOSES,
    output:
        "<report>/transductive/runs.csv",
        page="<report>/transductive/index.html",
    log:
        "<logs>/transductive.log",
    benchmark:
        "<benchmarks>/transductive.tsv"
    conda:
        "../../environment.yml"
    params:
        experiment=STUDY.experiment(STUDY.diagnosed or CONFIG.run.methods).model_dump_json(),
        results=lambda wildcards: RESULTS,
        out=subpath(output.page, parent=True),
    message:
        "Render the transductive diagnostic"
    shell:
        f"{LGSF} transductive-report"
        " --experiment {params.experiment:q} --results {params.results:q}"
        " --out {params.out:q} --log {log:q}"

"""Verbs for models that were trained elsewhere."""

from __future__ import annotations

from lgsf.system.names import LARGEST_SEED
from lgsf.system.project.verbs import Arguments, option, verb, whole
from lgsf.verbs.options import MAYBE_PATH, MAYBE_TEXT, MEMORY, PATH, SEED, TEXT, parsed


@verb("turn the scores of any code into a run",
      "--dataset resources/flickr8k --split test --scores scores.npy --name 'my model'"
      " --results results",
      dataset=PATH, split=TEXT, name=TEXT, seed=option(type=whole(0, LARGEST_SEED), default=0),
      results=PATH, scores=MAYBE_PATH, images=MAYBE_PATH, captions=MAYBE_PATH, ids=MAYBE_PATH, similarity=option(choices=("cosine", "dot"), default="cosine"), text_encoder=MAYBE_TEXT,
      features=MAYBE_TEXT, ensemble=option(choices=("yes", "no"), default=None))  # fmt: skip
def import_scores(a: Arguments) -> None:
    from lgsf.importing.scores import import_scores

    print(
        import_scores(
            dataset=a.dataset, split=a.split, name=a.name, seed=a.seed, results=a.results,
            scores=a.scores, images=a.images, captions=a.captions, ids=a.ids, similarity=a.similarity,
            text_encoder=a.text_encoder, features=a.features,
            ensemble=None if a.ensemble is None else a.ensemble == "yes",
        )
    )  # fmt: skip


@verb("turn an entry of the configuration's imports into a run",
      "--settings '{\"kind\": \"scores\", \"test\": \"scores.npy\"}' --name mine --seed 0"
      " --dataset resources/flickr8k --out results/flickr8k/mine/seed0",
      on_device=True, settings=TEXT, name=TEXT, seed=SEED,
      dataset=PATH, out=PATH, device=option(choices=("cpu", "cuda"), default="cpu"),
      threads=option(type=whole(1, 256), default=1), memory_mb=MEMORY)  # fmt: skip
def import_model(a: Arguments) -> None:
    from lgsf.importing.room import parsed_import

    settings = parsed(a.settings, "--settings")
    place = {"name": a.name, "seed": a.seed, "dataset": a.dataset, "out": a.out}
    kind = parsed_import(settings, a.name).kind
    if kind == "checkpoint":
        from lgsf.importing.weights import import_weights

        import_weights(settings, **place, device=a.device, threads=a.threads, memory_mb=a.memory_mb)
    elif kind == "run":
        from lgsf.importing.finished import import_run

        import_run(settings, **place)
    else:
        from lgsf.importing.configured import import_configured

        import_configured(settings, **place)


@verb("turn a checkpoint that authors released into a run",
      "--method scan --checkpoint model_best.pth.tar --vocab coco_precomp_vocab.json"
      " --dataset resources/coco --out results/coco/scan_authors/seed0",
      method=TEXT, checkpoint=PATH, vocab=MAYBE_PATH,
      bert=MAYBE_TEXT, dataset=PATH, out=PATH, name=MAYBE_TEXT, title=MAYBE_TEXT, seed=option(type=whole(0, LARGEST_SEED), default=None),
      device=option(choices=("cpu", "cuda"), default="cpu"), threads=option(type=whole(1, 256), default=1))  # fmt: skip
def import_checkpoint(a: Arguments) -> None:
    from lgsf.importing.checkpoint import import_checkpoint

    print(
        import_checkpoint(
            method=a.method, checkpoint=a.checkpoint, vocab=a.vocab, bert=a.bert, dataset=a.dataset, out=a.out,
            name=a.name, title=a.title, seed=a.seed, device=a.device, threads=a.threads,
        )
    )  # fmt: skip

"""Turn a checkpoint that authors released into a run that `lgsf evaluate` and all tables treat like any other.

The run is marked as imported wherever it is named: it was trained elsewhere, on whatever its authors used.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from baselines.checkpoints import Known, known, reads_bert
from lgsf.config.run_settings import CONFIG_SCHEMA_VERSION, RunSettings
from lgsf.data.layout import Dataset, open_dataset
from lgsf.data.text import Vocabulary, tokenize
from lgsf.importing.scores import slug
from lgsf.importing.unfinished import importing, is_free
from lgsf.models.base import Method
from lgsf.models.build import build_method, check_settings
from lgsf.models.pretrained import Pretrained, PretrainedBert
from lgsf.models.sizing import sketched
from lgsf.pretrained.archive import check_archive
from lgsf.pretrained.bert import bert_folder, read_bert
from lgsf.pretrained.files import bert_files
from lgsf.pretrained.read import RUN_FILES, keep_bert
from lgsf.pretrained.released import Released, read_released, read_vocabulary
from lgsf.runs.origin import digests
from lgsf.runs.provenance import now, provenance
from lgsf.runs.record import FILE, Checkpoint, RunRecord, read_record, write_record
from lgsf.runs.weights import save_weights, split_weights
from lgsf.system.errors import LgsfError
from lgsf.system.given import seed_of_folder
from lgsf.system.logs import PROGRESS

logger = logging.getLogger(__name__)
VOCABULARY = "vocabulary.json"
FOREIGN = 0.02  # share of unknown words, beyond the dataset's own, that is worth a warning
FOLDERS = {"data_path", "vocab_path", "logger_name", "model_name", "resume"}  # of a machine that is not ours


def import_checkpoint(
    *,
    method: str,
    checkpoint: Path,
    dataset: Path,
    out: Path,
    vocab: Path | None = None,
    bert: str | None = None,
    name: str | None = None,
    title: str | None = None,
    seed: int | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> Path:
    """Write `checkpoint` of a known `method` as the run `out`, `<results>/<dataset>/<name>/seed<k>`.

    vocab        the authors' JSON of words, where the text encoder is a GRU
    bert         the model that the text encoder started from, where it is a BERT: a folder or a name, as in the
                 configuration's text.path; its configuration and tokenizer are taken, its weights are not
    name, seed   by default those of the folder `out`
    device, threads   with which `lgsf evaluate` will score

    Importing again replaces the run. Raises LgsfError, and writes nothing, where the file holds anything but
    weights and options, an option that our class does not have, or where it does not fit the words or the data.
    """
    recipe = known(method)
    data = open_dataset(dataset)
    started = now()
    name, seed = _place(out, name, seed)
    identity = {"verb": "import-checkpoint", "name": name}
    _check_free(out, identity)
    facts = provenance(data, device=None)
    data.inputs.add(checkpoint)
    check_archive(checkpoint)
    released = read_released(checkpoint)
    parameters = recipe.parameters(released)
    words, encoder, files = _text(released, recipe, vocab=vocab, bert=bert)
    if encoder is not None:
        parameters |= {"text": {"kind": "bert", "path": bert}}
    title = title or f"{recipe.title} (authors' checkpoint)"
    settings = check_settings(
        {
            "schema_version": CONFIG_SCHEMA_VERSION,
            "dataset": data.name,
            "method": name,
            "model": recipe.model,
            "parameters": parameters,
            "training": {},
            "device": device,
            "threads": threads,
        },
        source=str(checkpoint),
    )
    model = _fill(settings, data, released, recipe, words=words, encoder=encoder)
    deployed, _ = split_weights(model)
    if words is not None:
        facts["data"]["vocabulary"] = {"size": len(words), "hash": words.hash, "min_count": words.min_count}
        facts["data"]["unknown_words"] = _unknown_words(words, data, files[0])
    origin = Checkpoint(
        file=checkpoint.name,
        sha256=released.sha256,
        text_files={path.name: data.inputs.add(path) for path in files},
        epoch=released.epoch,
        best_score=released.best_score,
        steps=released.steps,
        options=_plain(released),
        selection=recipe.selection,
        note=f"{_origin(released)}. Its best epoch was chosen on {recipe.selection}. It was trained with "
        "checkpoint.options; config.training did not apply.",
    )
    record = RunRecord(
        **facts,
        kind="imported",
        dataset=data.name,
        method=name,
        title=title,
        seed=seed,
        text_encoder=model.text_encoder_name,
        ensemble=False,
        threads=threads,
        config=settings.plain(),
        checkpoint=origin,
        parameters=sum(tensor.numel() for tensor in deployed.values()),
        started=started,
        ended=now(),
        ending="finished",
    )
    data.inputs.check()
    with importing(out, **identity):
        _publish(out, deployed, words, encoder, record)
    logger.info("%s: %s", out, origin.note)
    return out


def _publish(
    out: Path,
    deployed: Mapping[str, torch.Tensor],
    words: Vocabulary | None,
    encoder: PretrainedBert | None,
    record: RunRecord,
) -> None:
    """Write the run; the record comes last and names the other files."""
    files = save_weights(out, deployed, None)
    keep_bert(out, encoder)
    if words is None:
        (out / VOCABULARY).unlink(missing_ok=True)
    else:
        words.save(out / VOCABULARY)
    files |= digests(out, (VOCABULARY, *(f"bert/{name}" for name in RUN_FILES)))
    write_record(out, record.model_copy(update={"files": files}))


def _place(out: Path, name: str | None, seed: int | None) -> tuple[str, int]:
    """Name and seed of the run: its folder's, which a given one must not contradict, or tables would not find it."""
    found = seed_of_folder(out, seed)
    if found is None:
        raise LgsfError(f"--out {out} must end in <name>/seed<k>, as tables look for it.")
    folder = out.resolve().parent.name
    if slug(name or folder) != folder:
        raise LgsfError(
            f"--out {out}: the folder of {name or folder!r} is called {slug(name or folder)}, or tables would not find it."
        )
    return folder, found


def _check_free(out: Path, identity: Mapping[str, str]) -> None:
    """LgsfError if the folder holds anything but an import of a checkpoint, finished or stopped."""
    if is_free(out, identity):
        return
    if not (out / FILE).is_file() or read_record(out).checkpoint is None:
        raise LgsfError(f"{out} holds another run: choose another --out, or delete it.")


def _text(
    released: Released, recipe: Known, *, vocab: Path | None, bert: str | None
) -> tuple[Vocabulary | None, PretrainedBert | None, list[Path]]:
    """(the authors' words, None) or (None, the BERT without weights), and the files that they come from."""
    if reads_bert(released):
        if bert is None or vocab is not None:
            raise LgsfError(
                f"{released.path} reads captions with a BERT: give --bert, the model that it started from "
                "(bert-base-uncased as published), and no --vocab."
            )
        folder = bert_folder(bert)
        files = [path for path in bert_files(folder) if path.suffix == ".json" or path.suffix == ".txt"]
        return None, replace(read_bert(folder), read_weights=None), files
    if vocab is None or bert is not None:
        raise LgsfError(
            f"{released.path} reads captions with a GRU: give --vocab, the authors' words as JSON, and no --bert."
        )
    words = read_vocabulary(vocab, size=released.size("txt_enc.embed.weight", 0), mask_word=recipe.mask_word)
    return words, None, [vocab]


def _fill(
    settings: RunSettings,
    data: Dataset,
    released: Released,
    recipe: Known,
    *,
    words: Vocabulary | None,
    encoder: PretrainedBert | None,
) -> Method:
    """Our class with the authors' weights; LgsfError where they do not fit it or the dataset."""
    path = released.path
    train = data.manifest["splits"]["train"]
    width = released.size(recipe.first, 1)
    if width != train["region_dim"]:
        raise LgsfError(
            f"{path} reads regions of {width} numbers and {data.root} has {train['region_dim']}: "
            "name the dataset with the features that it was trained on."
        )
    regions = settings.parameters.get("regions")
    most = max(split["n_regions"] for split in data.manifest["splits"].values())
    if regions is not None and most > regions:
        raise LgsfError(
            f"{path} knows {regions} regions per image and {data.root} has up to {most}: "
            "name the dataset with the features that it was trained on."
        )
    size = None if words is None else len(words)

    def build() -> Method:
        return build_method(settings, data, vocabulary_size=size, pretrained=Pretrained(bert=encoder))

    sketch = sketched(build)  # without memory: a stranger's file told the widths
    try:
        ours = recipe.rename(released.weights)
    except LgsfError as error:
        raise LgsfError(f"{path}: {error}") from None
    own = sketch.state_dict()
    # Checkpoints of torch before 0.4.1 do not count batches, and evaluation does not use the count.
    uncounted = {k for k in own if k.endswith(".num_batches_tracked") and k not in ours}
    needed = {k: v for k, v in own.items() if k.split(".")[0] not in sketch.training_only and k not in uncounted}
    if wrong := sorted(set(needed) ^ set(ours)):
        raise LgsfError(f"{path} and {recipe.title} do not have the same weights ({wrong[0]!r}); check --method.")
    if unlike := [k for k, v in needed.items() if ours[k].shape != v.shape]:
        given, wanted = tuple(ours[unlike[0]].shape), tuple(needed[unlike[0]].shape)
        raise LgsfError(f"{path}: {unlike[0]!r} has shape {given}, not {wanted}; check --method.")
    model = build()
    with torch.no_grad():
        model.load_state_dict(ours, strict=False)
    return model


def _unknown_words(words: Vocabulary, data: Dataset, path: Path) -> dict[str, float]:
    """Split -> share of its words that the checkpoint does not know; a foreign vocabulary shows in it, and is told.

    Words of the same number in another file fit the weights as well and mean something else.
    """
    own = Vocabulary.load(data.root / "vocabulary.json")
    shares = {}
    for name in ("dev", "test"):
        captions = data.split(name).captions["text"].tolist()
        shares[name], usual = _share(words, captions), _share(own, captions)
        foreign = shares[name] > usual + FOREIGN
        logger.log(
            logging.WARNING if foreign else PROGRESS,
            "%s: %.1f %% of the words of split %s are unknown to it, %.1f %% to the dataset's own vocabulary%s",
            path, 100 * shares[name], name, 100 * usual,
            "; check that it is the file that came with this checkpoint, and the language of the captions" * foreign,
        )  # fmt: skip
    return shares


def _share(words: Vocabulary, captions: Sequence[str]) -> float:
    found = [word for caption in captions for word in tokenize(caption, words.tokenizer)]
    return sum(word not in words for word in found) / max(len(found), 1)


def _plain(released: Released) -> dict[str, Any]:
    """The authors' options as JSON, without the folders of their machine."""
    kept = {k: v for k, v in released.options.items() if k not in FOLDERS}
    return {k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in kept.items()}


def _origin(released: Released) -> str:
    epoch = "an unknown epoch" if released.epoch is None else f"epoch {released.epoch}"
    score = "" if released.best_score is None else f", best score {released.best_score:.1f}, both as stored"
    return f"Imported, not trained here: {released.path.name} (sha256 {released.sha256[:12]}…), {epoch}{score}"

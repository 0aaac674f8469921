"""`lgsf push-to-hub`: a trained run as a repository of the Hugging Face hub, in one commit."""

from __future__ import annotations

from pathlib import Path

from lgsf.data.layout import open_dataset
from lgsf.runs.facts import read_facts
from lgsf.runs.opened import load
from lgsf.runs.origin import check_file
from lgsf.runs.ranks import read_ranks
from lgsf.runs.record import read_record
from lgsf.sharing.card import model_card
from lgsf.sharing.files import CARD, MANIFEST, PUBLISHED, RANKS, VOCABULARY
from lgsf.sharing.load import missing_client
from lgsf.system.errors import LgsfError
from lgsf.system.files import write_text


def push_to_hub(
    *, run: Path, dataset: Path, repo: str, private: bool, licence: str | None, out: Path | None = None
) -> str:
    """Publish a trained run with a model card; returns the address of the commit.

    run, dataset  the run's folder and the prepared dataset it was trained on
    repo          owner/name, made where it does not exist; an older run in it gives way
    licence       of the weights, in the hub's words (apache-2.0, cc-by-nc-4.0 …): the data may bind you
    out           write the card here and send nothing

    Photos, captions and features stay where they are: weights, words, settings, log, ranks and the list of the data's
    checksums are sent. Raises LgsfError where a file is not the one that the run's record names, the hub's client is
    absent, or the hub refuses; then nothing is published.
    """
    facts, data = read_facts(run), open_dataset(dataset)
    load(run, read_record(run), data)  # that it opens, and weights and words are its own
    if facts.dataset_sha256 != data.sha256:
        raise LgsfError(f"{run} was trained on another version of {dataset}: name the dataset it was trained on.")
    words = run / VOCABULARY if (run / VOCABULARY).is_file() else dataset / VOCABULARY
    files = {MANIFEST: dataset / MANIFEST, VOCABULARY: words}
    files |= {name: run / name for name in PUBLISHED if name not in (*files, CARD) and (run / name).is_file()}
    for name in facts.files:
        if name in files:
            check_file(run, facts, name)
    ranks = read_ranks(run) if RANKS in files else None
    card = model_card(facts, ranks, repo=repo, licence=licence)
    if out is not None:
        write_text(out, card)
        return str(out)
    return _commit(repo, files, card, private=private, message=f"{facts.title or facts.method}, seed {facts.seed}")


def _commit(repo: str, files: dict[str, Path], card: str, *, private: bool, message: str) -> str:
    try:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    except ImportError as error:
        raise LgsfError(missing_client(error)) from None
    try:
        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        old = set(api.list_repo_files(repo)) & set(PUBLISHED) - {*files, CARD}
        operations = [CommitOperationDelete(name) for name in sorted(old)]
        operations += [CommitOperationAdd(name, path) for name, path in sorted(files.items())]
        operations.append(CommitOperationAdd(CARD, card.encode()))
        return str(api.create_commit(repo, operations, commit_message=message).commit_url)
    except Exception as error:  # the hub's client has a dozen kinds
        reason = " ".join(str(error).split())[:200]
        raise LgsfError(
            f"the Hugging Face hub did not take {repo} ({reason}): check the name, and log in with `hf auth login`."
        ) from None

"""The data of the configurations in config/: what they name exists in the code, and the protocol is that of the field."""

from __future__ import annotations

import pytest
import yaml

from tests.support.shipped import shipped

FILES = {
    "coco": {"data/coco_precomp/testall_ims.npy", "data/dataset_coco.json"},
    "flickr30k": {"data/f30k_precomp/test_ims.npy", "data/dataset_flickr30k.json"},
    "flickr8k": {
        "data/f8k_precomp/test_ims.npy", "data/Flickr8k_text/Flickr8k.token.txt", "data/Flickr8k_text/ExpertAnnotations.txt",
        "data/Flickr8k_text/Flickr_8k.testImages.txt",
    },
    "own": {"data/own/captions.csv", "data/own/features"},
}  # fmt: skip
FOLDS = {"coco": 5, "flickr30k": 1, "flickr8k": 1, "own": 1}


@pytest.mark.parametrize("name", FILES)
def test_a_config_reads_a_pack_or_published_files(name: str) -> None:
    config = shipped(name)
    own = {key: dataset for key, dataset in config.datasets.items() if key.startswith(name)}
    assert config.run.datasets == (name,)
    files = {path for dataset in own.values() for path in dataset.files()}
    assert files >= FILES[name]
    assert {getattr(dataset, "folds") for dataset in own.values()} == {FOLDS[name]}  # noqa: B009
    assert all(dataset.licence for dataset in own.values())


@pytest.mark.parametrize("name", FILES)
def test_every_dataset_of_a_config_can_be_run(name: str) -> None:
    for dataset in shipped(name).datasets:
        if dataset.startswith(name):
            assert shipped(name, run={"datasets": [dataset]}).run.datasets == (dataset,)


def test_the_settings_survive_the_way_to_the_command_line() -> None:
    for name in FILES:
        for dataset in shipped(name).datasets.values():
            plain = yaml.safe_load(dataset.model_dump_json())
            assert type(dataset).model_validate(plain) == dataset

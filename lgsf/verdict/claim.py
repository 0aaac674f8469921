"""The claim under test: what the paper says, where it says it, and on which data it can be tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COCO_TEST_IMAGES, COCO_FOLDS = 5000, 5


CLAIM = {"t2i_r1": ("image retrieval", 6.4), "i2t_r1": ("text retrieval", 1.3)}


NOT_TESTABLE = "not testable on this data"


@dataclass(frozen=True)
class Paper:
    """Where the claim stands, or what stands near it.

    language   of the title, as browsers know it;  romanised  for those whose fonts or eyes lack its script, or ""
    """

    title: str
    detail: str
    url: str
    bibtex: str
    language: str = "en"
    romanised: str = ""


PAPERS = (
    Paper("局部语义与全局语义融合的图文检索方法", "the article with the claim (abstract in Chinese)",
          "http://www.stae.com.cn/jsygc/article/abstract/2503447",
          "@article{lgsf2026,\n  title = {Local and Global Semantic Fusion for Image-Text Retrieval},\n"
          "  author = {Wang and Peng and Liu and others},\n  journal = {Science Technology and Engineering},\n"
          "  year = {2026},\n  volume = {26},\n  number = {13},\n  pages = {5574--5582},\n  note = {in Chinese}\n}\n",
          "zh", "Jubu yuyi yu quanju yuyi ronghe de tu-wen jiansuo fangfa"),
    Paper("Fine-Grained Local and Global Semantic Fusion for Multimodal Image–Text Retrieval",
          "a sister article of the same group: Big Data Cogn. Comput. 2025, 9(3), 53",
          "https://doi.org/10.3390/bdcc9030053",
          "@article{bdcc9030053,\n  title = {Fine-Grained Local and Global Semantic Fusion for Multimodal "
          "Image--Text Retrieval},\n  journal = {Big Data and Cognitive Computing},\n  year = {2025},\n  volume = {9},\n"
          "  number = {3},\n  pages = {53},\n  doi = {10.3390/bdcc9030053}\n}\n"),
)  # fmt: skip


def untestable(dataset: str, data: Mapping[str, Any]) -> str | None:
    """Why the claim cannot be tested on a dataset, or None on COCO in its 1K protocol.

    data  the `data` of a run of this dataset; empty where no run finished
    """
    if not dataset.startswith("coco"):
        return f"the claim is about MS-COCO, and {dataset} is not"
    if not data:
        return f"no run on {dataset} has finished"
    images, folds = data["splits"]["test"]["images"], data["protocol"]["folds"]
    if (images, folds) != (COCO_TEST_IMAGES, COCO_FOLDS):
        return (
            f"the claim is about five folds of 1,000 test images (1K), and {dataset} has {images} test images in {folds} "
            f"{'fold' if folds == 1 else 'folds'}"
        )
    return None

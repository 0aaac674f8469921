"""What may close the triangle of image, caption and negative: the candidates for the paper's triangular constraint.

The hinge triplet loss compares across modalities alone. Each term here brings in a side within a modality. s is
the cosine, i and t a matching image and caption, i^ and t^ their hardest negatives, m the hinge's margin.

    soft, hinge  the angle at the negative corner is limited (Wang et al., ICCV 2017, equations 4 and 7)
    fullhn       every side of i, t, i^, t^ stays below the matching one (Mallea et al., Discovery Science 2023)
    structure    captions of one image lie closer together than to others (DSPE; Wang, Li & Lazebnik, CVPR 2016)
    intra_band   similar samples of one modality are pushed apart (IMC; Chen et al., ICIP 2022)
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from lgsf.models.base import Parameters
from lgsf.models.kernels import forms
from lgsf.models.layers.losses import HardestNegatives, negative_pairs, positive_pairs

# Of image-image, caption-caption and negative-negative. The authors' factors; theirs level out sums over regions and
# words of which ours, cosines, have none. Kept as published.
FULLHN_SIDES = (0.01, 0.1, 1.0)
BAND = (0.5, 0.95)  # cosines of the authors' code; above it a pair counts as the same thing seen twice

Terms = dict[str, Tensor]


class TriangleParameters(Parameters):
    """The constraint on the triangle of image, caption and hardest negative."""

    weight: float = Field(0.1, ge=0, description="0 is the plain triplet loss")
    form: Literal["soft", "hinge", "fullhn", "structure", "intra_band"] = Field(
        "soft", description="angle: softplus without f's constant, or max(f, 0); or another way to close the triangle"
    )
    angle_degrees: float = Field(40.0, gt=0, lt=90, description="soft, hinge: largest angle at the negative corner")


def triangle_term(
    options: TriangleParameters,
    images: Tensor,
    captions: Tensor,
    image_ids: Tensor,
    negatives: HardestNegatives,
    *,
    margin: float,
) -> tuple[Tensor, Terms]:
    """The unweighted term of the chosen form, and detached scalars to log: its value and how much of it is active.

    images, captions (batch, dim) float32 of unit length; image_ids (batch,) int64.
    """
    match options.form:
        case "soft" | "hinge" as form:
            return angular_constraint(images, captions, negatives, angle_degrees=options.angle_degrees, form=form)
        case "fullhn":
            return full_hard_negatives(images, captions, image_ids, negatives, margin=margin)
        case "structure":
            return structure_preserving(captions, image_ids, margin=margin)
        case "intra_band":
            return intra_band(images, captions, image_ids)


def angular_constraint(
    images: Tensor,
    captions: Tensor,
    negatives: HardestNegatives,
    *,
    angle_degrees: float,
    form: Literal["soft", "hinge"],
) -> tuple[Tensor, Terms]:
    """Sum over the batch of the angular term at the given negatives, the mean of both directions.

    For anchor a, positive p, negative n of unit length and t = tan(angle)

        f(a, p, n) = 4 t^2 (s(a, n) + s(p, n)) - 2 (1 + t^2) s(a, p) + (2 - 6 t^2)

    where s(p, n) is the side between two samples of one modality. `soft` is log(1 + exp(f)) without f's
    constant; `hinge` is max(f, 0) with it, which for angles above 36 degrees is zero on most triplets.
    Activity: the share of f > 0, or the mean sigmoid(f).
    """
    squared = math.tan(math.radians(angle_degrees)) ** 2
    positive = (images * captions).sum(1)
    corners = (captions[negatives.caption], images[negatives.image])
    if forms.blocked(images):
        sums = []
        for negative in corners:
            towards = ((images + captions) * negative).sum(1)  # s(a, n) + s(p, n)
            sums.append(4 * squared * towards - 2 * (1 + squared) * positive)
        f = torch.stack(sums)
    else:
        towards = ((images + captions) * torch.stack(corners)).sum(2)
        f = 4 * squared * towards - 2 * (1 + squared) * positive
    if not negatives.exist:
        f = f[:, :0]
    if form == "hinge":
        f = f + (2 - 6 * squared)
        values, active = f.clamp(min=0), (f > 0).float()
    else:
        values, active = F.softplus(f), torch.sigmoid(f)
    loss = values.sum() / 2
    return loss, {"angular": loss.detach(), "angular_active": _mean(active)}


def full_hard_negatives(
    images: Tensor, captions: Tensor, image_ids: Tensor, negatives: HardestNegatives, *, margin: float
) -> tuple[Tensor, Terms]:
    """FullHN: sum over the batch of what the three other sides of the quadrilateral i, t, t^, i^ violate.

        [m + s(i, i^) - s(i, t)]+ / 100 + [m + s(t, t^) - s(i, t)]+ / 10 + [m + s(i^, t^) - s(i, t)]+

    Its diagonals s(i, t^) and s(i^, t) are those of the hinge. The last side is left out where i^ and t^ show the
    same image, as in the authors' code: it would push a matching pair apart. Their code looks up the image of t^
    for s(i, .) and the caption of i^ for s(t, .); here both are the hardest negatives, as in the formula.
    Activity: for each side, the share of rows that violate it.
    """
    positive = (images * captions).sum(1)
    hard_image, hard_caption = images[negatives.image], captions[negatives.caption]
    differ = image_ids[negatives.image] != image_ids[negatives.caption]
    if forms.blocked(images):
        pairs = ((images, hard_image), (captions, hard_caption), (hard_image, hard_caption))
        sides = torch.stack([(one * other).sum(1) for one, other in pairs])
        everywhere = torch.full_like(differ, negatives.exist)
        counted = torch.stack([everywhere, everywhere, differ & everywhere])
        violations = (margin + sides - positive).clamp(min=0).masked_fill(~counted, 0.0)
        loss = torch.stack([side * weight for side, weight in zip(violations.sum(1), FULLHN_SIDES, strict=True)]).sum()
        active = [_mean((row > 0).float()) for row in violations.detach()]
    else:  # the three sides in one go, and what each counts as a factor of its own
        towards = torch.stack([hard_image, hard_caption, hard_caption])
        sides = (torch.stack([images, captions, hard_image]) * towards).sum(2)
        exist = float(negatives.exist)
        counts = [torch.full_like(positive, exist * weight) for weight in FULLHN_SIDES[:2]]
        factors = torch.stack([*counts, differ * (exist * FULLHN_SIDES[2])])
        violations = (margin + sides - positive).clamp(min=0) * factors
        loss = violations.sum()
        active = list((violations.detach() > 0).float().mean(1))
    shares = dict(zip(("fullhn_images", "fullhn_captions", "fullhn_negatives"), active, strict=True))
    return loss, {"fullhn": loss.detach(), **shares}


def structure_preserving(captions: Tensor, image_ids: Tensor, *, margin: float) -> tuple[Tensor, Terms]:
    """DSPE: sum of [m + d(t, t+) - d(t, t-)]+ over captions t+ of the same image and t- of others in the batch.

    d is the Euclidean distance, with 1e-4 under the root as in the authors' code. As there, only captions have
    neighbours: in the image's view an image is alone. The authors draw two captions of each image into a batch. Our
    batches are shuffled captions, the same in every arm, so a caption meets one of its four siblings by chance, about
    4 (batch - 1) / (5 images): 2.5 % of captions on Scenes, 1.7 % on Flickr8k, 0.1 % on COCO. `structure_neighbours`
    logs that share: where it is near zero, so is the term.
    Activity: the share of (t, t+, t-) that violate the margin.
    """
    same = image_ids.unsqueeze(1) == image_ids
    anchor, near = positive_pairs(image_ids, itself=False)
    distance = (2 - 2 * captions @ captions.T).clamp(min=0).add(1e-4).sqrt()
    violations = margin + distance[anchor, near].unsqueeze(1) - distance[anchor]
    if forms.blocked(captions):
        violations = violations[~same[anchor]].clamp(min=0)
        active = _mean((violations.detach() > 0).float())
    else:  # how many are left, the host need not know
        violations = violations.clamp(min=0).masked_fill(same[anchor], 0.0)
        active = (violations.detach() > 0).sum() / (~same[anchor]).sum().clamp(min=1)
    loss = violations.sum()
    neighbours = (same.sum(1) > 1).float()
    return loss, {
        "structure": loss.detach(),
        "structure_active": active,
        "structure_neighbours": neighbours.mean(),
    }


def intra_band(images: Tensor, captions: Tensor, image_ids: Tensor) -> tuple[Tensor, Terms]:
    """IMC: cosines of samples of one modality that lie in the band 0.5 to 0.95, summed and divided by the batch.

    Pairs of one image are left out: the authors' code pushes its captions apart as well, if they are in the band.
    Activity: the share of pairs in the band.
    """
    scores = torch.stack([images @ images.T, captions @ captions.T])
    negative = negative_pairs(image_ids)
    inside = (scores > BAND[0]) & (scores < BAND[1]) & negative
    loss = (scores * inside).sum() / len(images)
    return loss, {"intra_band": loss.detach(), "intra_band_active": inside.sum() / (2 * negative.sum()).clamp(min=1)}


def _mean(values: Tensor) -> Tensor:
    """Mean of detached values, 0 where there are none."""
    return values.detach().sum() / max(values.numel(), 1)

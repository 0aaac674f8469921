"""Draw a scene graph with Pillow, and measure how much of each object can be seen."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lgsf.data.scenes.graph import Scene, SceneObject

FINE = 3  # objects are drawn this many times larger and reduced, which smooths their edges

# Hue in degrees, saturation and brightness in 0..1. Backgrounds have next to no saturation.
_HSV = {
    "red": (0, 0.88, 0.86),
    "orange": (27, 0.95, 0.98),
    "yellow": (54, 0.90, 0.98),
    "green": (122, 0.75, 0.70),
    "turquoise": (176, 0.75, 0.85),
    "blue": (222, 0.80, 0.90),
    "purple": (274, 0.72, 0.75),
    "pink": (328, 0.58, 0.99),
}
_DARK = 0.52  # brightness of the second tone of stripes and dots, as a share of the first

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Picture:
    """A drawn scene.

    pixels   (size, size, 3) uint8
    visible  per object (size, size) bool: where it can be seen
    shares   per object: the share of its own area that can be seen
    """

    pixels: npt.NDArray[np.uint8]
    visible: tuple[npt.NDArray[np.bool_], ...]
    shares: tuple[float, ...]


def draw(scene: Scene, size: int) -> Picture:
    """The picture of a scene, `size` pixels wide and high; the same scene gives the same bytes."""
    canvas = Image.fromarray(_background(scene, size))
    masks: list[npt.NDArray[np.bool_]] = []
    for item in scene.objects:
        colour, mask, corner = _object_patch(item, size)
        canvas.paste(colour, corner, mask)
        alone = Image.new("L", (size, size))
        alone.paste(mask, corner)
        masks.append(np.asarray(alone) >= 128)
    visible, covered = [], np.zeros((size, size), bool)
    for covering in reversed(masks):
        visible.append(covering & ~covered)
        covered |= covering
    visible.reverse()
    shares = tuple(float(v.sum() / m.sum()) for v, m in zip(visible, masks, strict=True))
    return Picture(_grain(np.asarray(canvas), scene), tuple(visible), shares)


def _background(scene: Scene, size: int) -> npt.NDArray[np.uint8]:
    """(size, size, 3) uint8: two nearly grey tones, plain or in one of three patterns."""
    rng = np.random.default_rng(scene.background_seed)
    grey = rng.uniform(45, 225)
    first = grey + rng.uniform(-9, 9, 3)
    second = np.clip(grey + rng.choice([-1.0, 1.0]) * rng.uniform(15, 40), 30, 240) + rng.uniform(-9, 9, 3)
    if scene.background == "plain":
        weight = np.zeros((size, size))
    elif scene.background == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
        weight = np.clip(0.5 + rows * np.sin(angle) + columns * np.cos(angle), 0, 1)
    elif scene.background == "clouds":
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5), dtype=np.uint8))
        weight = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) / 255
    else:
        tile = int(rng.integers(size // 12, size // 5))
        rows, columns = np.mgrid[0:size, 0:size] // tile
        weight = ((rows + columns) % 2).astype(np.float64)
    pixels: npt.NDArray[np.uint8] = np.rint(first + weight[..., None] * (second - first)).astype(np.uint8)
    return pixels


def _grain(pixels: npt.NDArray[np.uint8], scene: Scene) -> npt.NDArray[np.uint8]:
    """The picture with grey noise of two-pixel grain."""
    rng = np.random.default_rng(scene.noise_seed)
    half = -(-len(pixels) // 2)
    noise = np.rint(rng.normal(0, scene.noise, (half, half))).astype(np.int16)
    full = noise.repeat(2, axis=0).repeat(2, axis=1)[: len(pixels), : len(pixels), None]
    noisy: npt.NDArray[np.uint8] = np.clip(pixels + full, 0, 255).astype(np.uint8)
    return noisy


def _object_patch(item: SceneObject, size: int) -> tuple[Image.Image, Image.Image, tuple[int, int]]:
    """Colours and coverage of one object, and the pixel where the patch's upper left corner belongs."""
    reach = math.ceil(item.radius * size) + 1
    left, top = math.floor(item.x * size) - reach, math.floor(item.y * size) - reach
    side = (2 * reach + 1) * FINE
    centre = ((item.x * size - left) * FINE, (item.y * size - top) * FINE)
    radius = item.radius * size * FINE

    mask = Image.new("L", (side, side))
    outline = _outline(item.shape, centre, radius, math.radians(item.turn))
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    if item.fill == "outlined":
        border = Image.new("L", (side, side))
        width = round(2 * max(2.2 * FINE, 0.2 * radius))  # half of the line falls outside the shape
        ImageDraw.Draw(border).line([*outline, outline[0], outline[1]], fill=255, width=width, joint="curve")
        mask = Image.composite(border, Image.new("L", (side, side)), mask)
    bright, dark = _tones(item)
    colour = Image.new("RGB", (side, side), bright)
    if item.fill == "striped":
        _stripe(ImageDraw.Draw(colour), side, centre, item.turn, dark)
    elif item.fill == "dotted":
        _dot(ImageDraw.Draw(colour), side, centre, dark)
    return colour.reduce(FINE), mask.reduce(FINE), (left, top)


def _tones(item: SceneObject) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The object's bright and dark tone as RGB."""
    hue, saturation, value = _HSV[item.colour]
    shifted = (hue + 4 * item.tone[0]) % 360 / 360
    value = min(1.0, value * (1 + 0.06 * item.tone[1]))
    red, green, blue = (255 * c for c in colorsys.hsv_to_rgb(shifted, saturation, value))
    return (round(red), round(green), round(blue)), (round(_DARK * red), round(_DARK * green), round(_DARK * blue))


def _stripe(
    draw: ImageDraw.ImageDraw, side: int, centre: tuple[float, float], turn: float, dark: tuple[int, int, int]
) -> None:
    """Diagonal stripes of three pixels, turned with the object."""
    period, angle = 6 * FINE, math.radians(45 + turn)
    along, across = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    for k in range(-side // period - 1, side // period + 2):
        x, y = centre[0] + k * period * across[0], centre[1] + k * period * across[1]
        ends = [(x - side * along[0], y - side * along[1]), (x + side * along[0], y + side * along[1])]
        draw.line(ends, fill=dark, width=period // 2)


def _dot(draw: ImageDraw.ImageDraw, side: int, centre: tuple[float, float], dark: tuple[int, int, int]) -> None:
    """Round spots on a square grid, one at the centre."""
    period, spot = 6 * FINE, 1.9 * FINE
    steps = side // period + 1
    for row in range(-steps, steps + 1):
        for column in range(-steps, steps + 1):
            x, y = centre[0] + column * period, centre[1] + row * period
            draw.ellipse((x - spot, y - spot, x + spot, y + spot), fill=dark)


def _outline(shape: str, centre: tuple[float, float], radius: float, turn: float) -> Points:
    """Corners of the shape inside the circle of `radius` around `centre`, turned by `turn` radians."""
    if shape == "circle":
        unit = _ring([1.0] * 48)
    elif shape == "square":
        unit = _ring([1.0] * 4, start=45)
    elif shape == "triangle":
        unit = _ring([1.0] * 3, start=-90)
    elif shape == "star":
        unit = _ring([1.0, 0.45] * 5, start=-90)
    elif shape == "cross":
        a, b = 0.93, 0.31
        unit = [(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b)]
        unit += [(-x, -y) for x, y in unit]
    else:
        unit = _heart()
    cosine, sine = math.cos(turn), math.sin(turn)
    return [
        (centre[0] + radius * (x * cosine - y * sine), centre[1] + radius * (x * sine + y * cosine)) for x, y in unit
    ]


def _ring(radii: list[float], start: float = 0.0) -> Points:
    """Points at equal angles around the origin, the first at `start` degrees."""
    angles = [math.radians(start + 360 * k / len(radii)) for k in range(len(radii))]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def _heart() -> Points:
    """The well-known curve 16 sin^3 t, 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, scaled to radius 1."""
    points = []
    for k in range(40):
        t = 2 * math.pi * k / 40
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((16 * math.sin(t) ** 3 / 17.5, -(y + 2.5) / 17.5))
    return points

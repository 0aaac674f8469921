"""Small hand-made scenes for the tests of the built-in dataset."""

from __future__ import annotations

from lgsf.data.scenes.graph import Scene, SceneObject


def item(
    shape: str = "circle",
    colour: str = "red",
    x: float = 0.5,
    y: float = 0.5,
    *,
    size: str = "small",
    fill: str = "solid",
    radius: float = 0.055,
) -> SceneObject:
    """One upright object of average tone."""
    return SceneObject(
        shape=shape, colour=colour, size=size, fill=fill, x=x, y=y, radius=radius, turn=0.0, tone=(0.0, 0.0)
    )


def scene(*objects: SceneObject, background: str = "plain", noise: float = 3.0) -> Scene:
    """The objects from back to front."""
    return Scene(objects=objects, background=background, background_seed=1, noise=noise, noise_seed=2)

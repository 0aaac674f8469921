"""Photos as cameras, scanners and the web leave them: upright, RGB, 8 bits - or a reason."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from lgsf.extract.pictures import Picture, Unreadable, read_picture


def pixels_of(path: Path) -> npt.NDArray[Any]:
    found = read_picture(path)
    assert isinstance(found, Picture), found
    assert found.pixels.mode == "RGB"
    assert (found.sha256, found.size) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    return np.asarray(found.pixels)


# EXIF orientation -> (row, column) of the quarter in which the stored picture's upper left one is looked at
CORNERS = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}


@pytest.mark.parametrize("orientation", CORNERS)
def test_exif_rotation(tmp_path: Path, orientation: int) -> None:
    picture = Image.new("RGB", (40, 30), (10, 20, 30))
    picture.paste((250, 0, 0), (0, 0, 20, 15))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "photo.png", exif=exif)
    pixels = pixels_of(tmp_path / "photo.png")
    assert pixels.shape == ((40, 30, 3) if orientation > 4 else (30, 40, 3))
    quarters = pixels.reshape(2, pixels.shape[0] // 2, 2, pixels.shape[1] // 2, 3)[..., 0].mean(axis=(1, 3))
    assert [tuple(place) for place in np.argwhere(quarters > 200)] == [CORNERS[orientation]]


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "I;16", "CMYK", "YCbCr"])
def test_grey_stays_grey_in_every_mode(tmp_path: Path, mode: str) -> None:
    values = np.repeat(np.array([[0, 255]], np.uint8), 8, axis=1).repeat(16, axis=0)  # dark left, light right
    grey = Image.fromarray(values)
    image = Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    path = tmp_path / ("photo.jpg" if mode in ("CMYK", "YCbCr") else "photo.png")
    image.save(path, quality=95)
    with Image.open(path) as stored:
        assert stored.mode == {"YCbCr": "RGB"}.get(mode, mode)
    pixels = pixels_of(path).astype(int)
    assert abs(pixels - values[..., None]).max() < 6


def test_cmyk_of_a_solid_colour(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    pixels = pixels_of(tmp_path / "red.jpg").reshape(-1, 3).mean(axis=0)
    assert pixels[0] > 230 and pixels[1] < 25 and pixels[2] < 25


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 255, 256, 32768, 65535], [1000, 2000, 30000, 40000, 50000]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"photo.{suffix}")
    assert (pixels_of(tmp_path / f"photo.{suffix}")[..., 0] == values // 256).all()


def test_sixteen_bits_in_big_endian(tmp_path: Path) -> None:
    values = np.array([[0, 65535], [32768, 256]], ">u2")
    data_at = 8 + 2 + 9 * 12 + 4
    entries = [(256, 4, 2), (257, 4, 2), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, data_at), (277, 3, 1),
               (278, 4, 2), (279, 4, 8)]  # fmt: skip
    body = len(entries).to_bytes(2, "big")
    for tag, kind, value in entries:
        field = value.to_bytes(2, "big") + b"\0\0" if kind == 3 else value.to_bytes(4, "big")
        body += tag.to_bytes(2, "big") + kind.to_bytes(2, "big") + (1).to_bytes(4, "big") + field
    (tmp_path / "photo.tif").write_bytes(b"MM\x00*\x00\x00\x00\x08" + body + bytes(4) + values.tobytes())
    assert (pixels_of(tmp_path / "photo.tif")[..., 0] == values // 256).all()


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 4, 8))
    image.save(tmp_path / "photo.png")
    pixels = pixels_of(tmp_path / "photo.png")
    assert (pixels[:, :4] == (0, 0, 255)).all() and (pixels[:, 4:] == 255).all()


def test_lab_is_not_taken_for_transparency(tmp_path: Path) -> None:
    """Its mode is spelled with an A."""
    profiles = [ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")]
    image = ImageCms.profileToProfile(Image.new("RGB", (8, 8), (200, 200, 200)), *profiles, outputMode="LAB")
    assert image is not None
    image.save(tmp_path / "photo.tif")
    assert abs(pixels_of(tmp_path / "photo.tif").astype(int) - 200).max() < 12


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif"])
def test_truncated_anywhere_is_unreadable(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        found = read_picture(path)
        assert isinstance(found, Unreadable) and found.reason
        assert found.size == int(share * len(data)) and found.sha256


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture at all")
    (tmp_path / "folder.jpg").mkdir()
    Image.new("RGB", (1, 50)).save(tmp_path / "line.png")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "wide.tif")
    expected = {
        "empty.jpg": "empty file",
        "text.jpg": "not a picture",
        "folder.jpg": "Is a directory",
        "none.jpg": "No such file or directory",
        "line.png": "only 1 x 50 pixels",
        "float.tif": "pixels are floating-point numbers of no defined range",
        "wide.tif": "pixels are integers of more than 16 bits",
    }
    assert {name: getattr(read_picture(tmp_path / name), "reason", None) for name in expected} == expected


def test_a_bomb_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (64, 64)).save(tmp_path / "bomb.png")
    found = read_picture(tmp_path / "bomb.png")
    assert isinstance(found, Unreadable) and "bomb" in found.reason

"""Image files of every kind as upright RGB."""

import numpy as np
import pytest
from PIL import Image

from lcrp import InputError
from lcrp.datasets.images import check_image, find_images, image_size, read_image, read_labels


def near(a, b, tolerance=12):
    return a.shape == b.shape and np.abs(a.astype(int) - b.astype(int)).max() <= tolerance


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_colour(tmp_path, layouts, suffix):
    pixels = layouts.picture()
    layouts.write_image(tmp_path / f"a{suffix}", pixels)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.dtype == np.uint8 and near(image, pixels)
    assert image_size(tmp_path / f"a{suffix}") == (24, 32)


def test_cmyk(tmp_path, layouts):
    pixels = layouts.picture()
    layouts.write_image(tmp_path / "a.jpg", pixels, "CMYK")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "CMYK"
    assert near(read_image(tmp_path / "a.jpg"), pixels, 12)


@pytest.mark.parametrize(("mode", "suffix"), [("L", ".jpg"), ("LA", ".png"), ("1", ".png")])
def test_greyscale(tmp_path, layouts, mode, suffix):
    layouts.write_image(tmp_path / f"a{suffix}", layouts.picture(), mode)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.shape == (24, 32, 3)
    assert (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all()
    assert image.max() > 150 and image.min() < 60


def test_sixteen_bits(tmp_path):
    values = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert near(read_image(tmp_path / "a.png")[..., 1], (values / 257).astype(np.uint8), 1)


def test_palette_and_transparency(tmp_path, layouts):
    pixels = np.repeat(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8), 4, 0)
    for mode in ("P", "RGBA"):
        layouts.write_image(tmp_path / "a.png", pixels, mode)
        assert near(read_image(tmp_path / "a.png"), pixels, 2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path, layouts, orientation):
    upright = layouts.picture()
    turn = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1], 5: lambda a: a.transpose(1, 0, 2),
            6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
            8: lambda a: np.rot90(a, -1)}  # fmt: skip
    stored = np.ascontiguousarray(turn[orientation](upright))
    layouts.write_image(tmp_path / "a.png", stored, orientation=orientation)
    assert near(read_image(tmp_path / "a.png"), upright, 0)
    assert image_size(tmp_path / "a.png") == (24, 32)


def test_annotations_made_on_the_stored_pixels_keep_them(tmp_path, layouts):
    stored = layouts.picture()
    layouts.write_image(tmp_path / "a.png", stored, orientation=6)
    assert read_image(tmp_path / "a.png").shape == (32, 24, 3)
    assert near(read_image(tmp_path / "a.png", (24, 32)), stored, 0)
    assert image_size(tmp_path / "a.png", (24, 32)) == (24, 32)
    assert image_size(tmp_path / "a.png", (32, 24)) == (32, 24)


def test_an_image_of_another_size(tmp_path, layouts):
    layouts.write_image(tmp_path / "a.png", layouts.picture())
    with pytest.raises(InputError, match=r"a\.png: the image has 24 x 32 pixels.*for 48 x 64"):
        read_image(tmp_path / "a.png", (48, 64))


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_damaged_files(tmp_path, layouts, damage, suffix):
    path = tmp_path / f"a{suffix}"
    layouts.write_image(path, layouts.picture(200, 300))
    content = path.read_bytes()
    damaged = {"cut": content[: len(content) // 2], "empty": b"", "text": b"<html>404</html>"}
    path.write_bytes(damaged[damage])
    for read in (read_image, check_image):
        with pytest.raises(InputError, match=rf"a\{suffix}: not a readable image") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_whole_file_passes_the_check(tmp_path, layouts):
    for name in ("a.jpg", "a.png"):
        layouts.write_image(tmp_path / name, layouts.picture(200, 300))
        check_image(tmp_path / name)


def test_a_missing_file(tmp_path):
    for read in (read_image, image_size, check_image, read_labels):
        with pytest.raises(InputError, match=r"nowhere\.png: no such"):
            read(tmp_path / "nowhere.png")


def test_masks_of_colours_are_refused(tmp_path, layouts):
    layouts.write_image(tmp_path / "a.png", layouts.picture())
    with pytest.raises(InputError, match=r"a\.png: a mask holds one class index.*mode RGB"):
        read_labels(tmp_path / "a.png")


def test_finding_images(tmp_path, layouts):
    for name in ("b.JPG", "a.png", "sub/c.jpeg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "._a.png").write_bytes(b"")
    assert [f.as_posix() for f in find_images(tmp_path)] == ["a.png", "b.JPG", "sub/c.jpeg"]
    with pytest.raises(InputError, match="nowhere: no such folder"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no images in it"):
        find_images(tmp_path / "empty")


def written(path, values):
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize(("bits", "brightest"), [(10, 1000), (12, 4095), (14, 9000), (16, 60000)])
def test_sixteen_bits_are_shown_by_the_depth_that_they_use(tmp_path, bits, brightest):
    values = np.array([[0, brightest // 2, brightest]], np.uint16)
    found = read_image(written(tmp_path / "a.png", values))[0, :, 0]
    assert found.tolist() == np.rint(values[0] * (255 / (2**bits - 1))).tolist()


def test_images_of_a_camera_stay_comparable(tmp_path):
    one = read_image(written(tmp_path / "a.png", np.array([[100, 600]], np.uint16)))
    other = read_image(written(tmp_path / "b.png", np.array([[100, 900]], np.uint16)))
    assert one[0, 0, 0] == other[0, 0, 0] > 0


def test_floats_are_shown_from_nought_to_one(tmp_path):
    values = np.array([[0, 0.5, 1]], np.float32)
    assert read_image(written(tmp_path / "a.tif", values))[0, :, 0].tolist() == [0, 128, 255]
    values = np.array([[0, 100, 255]], np.float32)
    assert read_image(written(tmp_path / "b.tif", values))[0, :, 0].tolist() == [0, 100, 255]


def test_pixels_that_are_no_numbers_are_refused(tmp_path):
    values = np.array([[0, np.nan]], np.float32)
    with pytest.raises(InputError, match=r"a\.tif: .*NaN or infinite pixels"):
        read_image(written(tmp_path / "a.tif", values))

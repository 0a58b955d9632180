"""The official layouts in miniature, and images of every awkward kind."""

import json
import tarfile
import zipfile

import numpy as np
from PIL import Image

LYING = 6  # EXIF: to be turned by 90 degrees


def picture(height=24, width=32, seed=0):
    """(h, w, 3) uint8: a smooth image that survives JPEG, different in every corner."""
    y, x = np.mgrid[:height, :width]
    return np.stack(
        [255 * x / width, 255 * y / height, np.full_like(x, 40 + seed % 8 * 20)], -1
    ).astype(np.uint8)


def write_image(path, pixels, mode="RGB", orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels).convert(mode)
    options = {"quality": 95} if path.suffix == ".jpg" else {}
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    image.save(path, **options)


def coco_content(prefix=""):
    """Six images and every kind of annotation; category ids as the official ones, with gaps."""
    names = [
        (1, "person"),
        (11, "fire hydrant"),
        (13, "stop sign"),
        (18, "dog"),
        (90, "toothbrush"),
    ]
    images = [
        {"id": number, "file_name": f"{prefix}{number:012d}.jpg", "height": 24, "width": 32}
        for number in (139, 285, 632, 724, 776, 785)
    ]
    images[3] |= {"height": 32, "width": 24}  # 724: annotated upright, stored lying
    square = [4.0, 4.0, 12.0, 4.0, 12.0, 12.0, 4.0, 12.0]
    annotation = {"image_id": 139, "iscrowd": 0, "area": 64.0}
    annotations = [
        annotation | {"id": 9, "category_id": 90, "bbox": [4.0, 4.0, 8.0, 8.0],
                      "segmentation": [square]},
        annotation | {"id": 3, "category_id": 1, "bbox": [0.5, 1.0, 10.0, 20.0],
                      "segmentation": [[1, 1, 5, 1, 5, 5], [8, 8, 10, 8, 10, 20, 8, 20]]},
        annotation | {"id": 900100000139, "category_id": 1, "iscrowd": 1, "bbox": [2, 0, 2, 24],
                      "segmentation": {"size": [24, 32], "counts": [48, 48, 672]}},
        annotation | {"id": 5, "image_id": 285, "category_id": 18, "bbox": [3.0, 3.0, 0.0, 9.0],
                      "area": 0.0, "segmentation": [[3, 3, 3, 12, 3, 3]]},
        annotation | {"id": 6, "image_id": 632, "category_id": 13, "bbox": [2, 2, 5, 6]},
        annotation | {"id": 7, "image_id": 724, "category_id": 11, "bbox": [10.0, 20.0, 8.0, 8.0],
                      "segmentation": [[10, 20, 18, 20, 18, 28, 10, 28]]},
    ]  # fmt: skip
    categories = [{"id": i, "name": name, "supercategory": "thing"} for i, name in reversed(names)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def write_coco(root, year="2017", prefix=""):
    """A miniature of val<year> and its annotations below a folder."""
    content = coco_content(prefix)
    modes = {285: "L", 632: "CMYK"}
    for number, entry in enumerate(content["images"]):
        lying = LYING if entry["id"] == 724 else None
        path = root / f"val{year}" / entry["file_name"]
        write_image(path, picture(seed=number), modes.get(entry["id"], "RGB"), lying)
    file = root / "annotations" / f"instances_val{year}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def write_voc(root):
    """A miniature of VOC 2012: palette masks with void borders, lists with and without them."""
    base = root / "VOCdevkit" / "VOC2012"
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for number, name in enumerate(("2007_000032", "2007_000039", "2011_003276")):
        write_image(base / "JPEGImages" / f"{name}.jpg", picture(seed=number))
        mask = np.zeros((24, 32), np.uint8)
        mask[5:15, 6:20] = 255
        mask[6:14, 7:19] = (1, 20, 15)[number]
        mask[20:22, 20:22] = 15
        image = Image.fromarray(mask, "P")
        image.putpalette([value for i in range(256) for value in (i, 255 - i, 7)])
        (base / "SegmentationClass").mkdir(exist_ok=True)
        image.save(base / "SegmentationClass" / f"{name}.png")
    write_image(base / "JPEGImages" / "2012_000001.jpg", picture())  # no mask, in no list
    (lists / "trainval.txt").write_text("2007_000032\n2007_000039\n2011_003276\n")
    (lists / "val.txt").write_text("2007_000039\n")
    return base


def write_cityscapes(root, kind="labelIds"):
    """A miniature of Cityscapes: two cities of val, one of train."""
    for split, city, frame in (
        ("val", "lindau", 0),
        ("val", "frankfurt", 294),
        ("train", "ulm", 1),
    ):
        stem = f"{city}_000000_{frame:06d}"
        write_image(
            root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture(16, 32, frame)
        )
        mask = np.full((16, 32), 7, np.uint8)
        mask[:4] = 23
        mask[4:8, :8] = 26
        mask[8:10, 10:14] = 33
        mask[15] = 1  # ego vehicle
        mask[0, 0] = 255
        if kind == "labelTrainIds":
            mask = np.select([mask == 7, mask == 23, mask == 26, mask == 33], [0, 10, 13, 18], 255)
        path = root / "gtFine" / split / city / f"{stem}_gtFine_{kind}.png"
        write_image(path, mask.astype(np.uint8), "L")
    return root


def write_coco_2014(root):
    """val2014 with six images, of which val2017 has four."""
    write_coco(root, "2014", "COCO_val2014_")
    file = write_coco(root)
    content = json.loads(file.read_text())
    content["images"] = content["images"][:4]
    file.write_text(json.dumps(content))


WRITERS = {
    "coco2017-val": write_coco,
    "coco2014-minival": write_coco_2014,
    "voc2012-trainval": write_voc,
    "cityscapes-val": write_cityscapes,
}
# What the official archives hold, by the file's name.
CONTENTS = {
    "val2017.zip": ["val2017"],
    "val2014.zip": ["val2014"],
    "annotations_trainval2017.zip": ["annotations/*2017.json"],
    "annotations_trainval2014.zip": ["annotations/*2014.json"],
    "VOCtrainval_11-May-2012.tar": ["VOCdevkit"],
    "leftImg8bit_trainvaltest.zip": ["leftImg8bit", "README"],
    "gtFine_trainvaltest.zip": ["gtFine", "README"],
}


def pack(root, file, folder):
    """An official archive in miniature, out of an unpacked tree."""
    found = [path for pattern in CONTENTS[file] for path in sorted(root.glob(pattern))]
    paths = [p for top in found for p in ([top] if top.is_file() else sorted(top.rglob("*")))]
    target = folder / file
    if file.endswith(".tar"):
        with tarfile.open(target, "w") as archive:
            for path in paths:
                archive.add(path, path.relative_to(root).as_posix(), recursive=False)
    else:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, path.relative_to(root).as_posix())
    return target

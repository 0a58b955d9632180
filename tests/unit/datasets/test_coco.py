"""COCO JSON into samples."""

import json

import numpy as np
import pytest

from lcrp import InputError
from lcrp.datasets import open_dataset

NAMES = ("person", "fire hydrant", "stop sign", "dog", "toothbrush")


@pytest.fixture
def spec(tmp_path, layouts):
    file = layouts.write_coco(tmp_path)
    return {"format": "coco", "images": str(tmp_path / "val2017"), "annotations": str(file)}


def edited(spec, edit):
    """The specification with a changed annotation file."""
    path = spec["annotations"]
    with open(path) as file:
        content = json.load(file)
    edit(content)
    with open(path, "w") as file:
        json.dump(content, file)
    return spec


def test_ids_with_gaps_become_contiguous_in_their_order(spec):
    dataset = open_dataset(spec)
    assert dataset.classes == NAMES
    assert len(dataset) == 6
    assert dataset.ids[0] == "000000000139" and dataset[0].file == "000000000139.jpg"
    assert [thing.class_name for thing in dataset[0].things] == ["toothbrush", "person", "person"]
    assert [thing.class_index for thing in dataset[0].things] == [4, 0, 0]
    assert dataset[0].classes_present == (0, 4)
    assert dataset["000000000139"].id == dataset[0].id == dataset[-6].id


def test_boxes_and_masks(spec):
    toothbrush, person, crowd = open_dataset(spec)[0].things
    assert toothbrush.id == "9" and toothbrush.box == (4.0, 4.0, 12.0, 12.0)
    expected = np.zeros((24, 32), bool)
    expected[4:12, 4:12] = True
    assert np.array_equal(toothbrush.mask(), expected)
    assert person.box == (0.5, 1.0, 10.5, 21.0)
    mask = person.mask()  # two polygons
    assert mask[2, 3] and mask[15, 9] and not mask[15, 3]
    assert crowd.crowd and not person.crowd
    expected[:] = False
    expected[:, 2:4] = True  # 48 pixels down two columns: run lengths go down the columns
    assert np.array_equal(crowd.mask(), expected)


def test_objects_without_area_or_mask(spec):
    dataset = open_dataset(spec)
    assert dataset["000000000285"].things == [] and dataset["000000000285"].classes_present == ()
    (sign,) = dataset["000000000632"].things
    assert sign.mask() is None and sign.box == (2.0, 2.0, 7.0, 8.0)
    assert dataset["000000000785"].things == []


def test_images_are_upright_as_annotated(spec, layouts):
    dataset = open_dataset(spec)
    lying = dataset["000000000724"]
    assert (lying.height, lying.width) == (32, 24)
    assert lying.image().shape == (32, 24, 3)
    assert lying.things[0].mask().sum() == 64
    for sample in dataset:
        assert sample.image().shape == (sample.height, sample.width, 3)


def test_the_background_shifts_by_one(spec):
    dataset = open_dataset({**spec, "with_background": True})
    assert dataset.classes == ("background", *NAMES) and dataset.background == {0}
    assert dataset[0].classes_present == (1, 5)
    labels = dataset[0].labels()
    assert labels[0, 20] == 0 and labels[5, 11] == 5


def test_label_maps_put_small_objects_on_top(spec):
    labels = open_dataset(spec)[0].labels()
    assert labels.dtype == np.uint8
    assert labels[23, 2] == 0  # crowd
    assert labels[5, 11] == 4
    assert labels[0, 20] == 255  # nothing is annotated there


def test_categories_are_mapped_by_name(spec):
    classes = ["toothbrush", "Fire_Hydrant", "stop sign", "cat", "person", "dog"]
    dataset = open_dataset({**spec, "classes": classes})
    assert dataset.classes == tuple(classes)
    assert dataset[0].classes_present == (0, 4)
    assert dataset["000000000724"].things[0].class_index == 1
    assert open_dataset(spec, classes)[0].classes_present == (0, 4)


def test_a_class_unknown_to_the_model(spec):
    with pytest.raises(InputError) as error:
        open_dataset({**spec, "classes": ["person", "dog", "toothbrushes"]})
    message = str(error.value)
    assert "instances_val2017.json: annotation 9" in message and "'toothbrush'" in message
    assert "which has 'toothbrushes'" in message and "unknown: ignore" in message
    dataset = open_dataset({**spec, "classes": ["person", "dog"], "unknown": "ignore"})
    assert dataset[0].classes_present == (0,)
    assert dataset["000000000632"].things == []
    with pytest.raises(InputError, match=r"none of its classes .person.* is one of the model's"):
        open_dataset({**spec, "classes": ["ship"]})


def test_unused_categories_need_no_counterpart(spec):
    used = [name for name in NAMES if name != "dog"]  # its only object has no area

    def drop(content):
        content["annotations"] = [a for a in content["annotations"] if a["category_id"] != 18]

    assert open_dataset({**edited(spec, drop), "classes": used}).classes == tuple(used)


def test_a_subset_named_by_another_file(spec, tmp_path):
    other = tmp_path / "instances.json"
    other.write_text(json.dumps({"images": [{"id": 785, "file_name": "x"},
                                            {"id": 139, "file_name": "y"}]}))  # fmt: skip
    assert open_dataset({**spec, "only": str(other)}).ids == ("000000000139", "000000000785")
    other.write_text(json.dumps({"images": [{"id": 1, "file_name": "x"}]}))
    with pytest.raises(InputError, match=r"instances\.json: it lists none of the images"):
        open_dataset({**spec, "only": str(other)})


def test_the_order_of_the_file_is_known(spec):
    listed = open_dataset(spec).ids[::2] + open_dataset(spec).ids[1::2]

    def shuffle(content):
        content["images"].sort(key=lambda entry: listed.index(entry["file_name"][:-4]))

    dataset = open_dataset(edited(spec, shuffle))
    assert dataset.listed == listed and dataset.ids == tuple(sorted(listed))


def test_semantic_masks_beside(spec, tmp_path, layouts):
    dataset = open_dataset({**spec, "masks": str(tmp_path / "masks"), "with_background": True})
    mask = np.full((24, 32), 3, np.uint8)
    layouts.write_image(tmp_path / "masks" / "000000000139.png", mask, "L")
    assert np.array_equal(dataset[0].labels(), mask)
    layouts.write_image(tmp_path / "masks" / "000000000139.png", mask[:4], "L")
    with pytest.raises(InputError, match=r"000000000139\.png: its size"):
        dataset[0].labels()
    with pytest.raises(InputError, match=r"000000000285\.png: no such mask"):
        dataset[1].labels()


def test_images_without_annotations(spec):
    dataset = open_dataset(edited(spec, lambda content: content.pop("annotations")))
    assert not dataset.annotated
    assert dataset[0].things == [] and dataset[0].labels() is None


def test_names_that_repeat_in_folders(spec, tmp_path):
    def rename(content):
        for number, image in enumerate(content["images"]):
            image["file_name"] = f"camera{number}/front.jpg"

    dataset = open_dataset(edited(spec, rename))
    assert dataset.ids[1] == "camera1-front" and dataset[1].file == "camera1/front.jpg"


def annotation(number):
    return lambda change: lambda content: content["annotations"][number].update(change)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (annotation(1)({"category_id": 2}), r"annotation 3: its category_id 2 is not in .categ"),
        (annotation(1)({"image_id": 4}), r"annotation 3: its image_id 4 is not in .images"),
        (lambda c: c["annotations"].append(7), r"annotation 6: not a JSON object"),
        (lambda c: c["images"][2].pop("file_name"), r"images\[2\] has no id or no file_name"),
        (lambda c: c["images"][2].update(id=139), r"two images have the id 139"),
        (lambda c: c["images"][0].update(file_name="../a.jpg"), r"file_name \.\./a\.jpg leaves"),
        (lambda c: c["categories"][0].pop("name"), r"categories\[0\] has no id or no name"),
        (lambda c: c["categories"][0].update(name="dog"), r"the class 'dog' is named twice"),
        (lambda c: c.pop("images"), r"no `images` in it"),
    ],
)
def test_contradictions_are_found_on_opening(spec, edit, message):
    with pytest.raises(InputError, match=rf"instances_val2017\.json: {message}") as error:
        open_dataset(edited(spec, edit))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [1, 2, 3]}, r"its bbox \[1, 2, 3\] is not"),
        ({"bbox": [1, 2, float("nan"), 3]}, r"is not finite"),
        ({"segmentation": {"size": [5, 5], "counts": [25]}}, r"its mask has size \[5, 5\]"),
        ({"segmentation": {"size": [24, 32], "counts": "\u00e4"}}, r"run lengths do not add up"),
        ({"segmentation": [[1, 2, 3, 4, "a", 5]]}, r"neither polygons nor"),
    ],
)
def test_a_wrong_object_is_named(spec, change, message):
    dataset = open_dataset(edited(spec, annotation(1)(change)))
    with pytest.raises(InputError, match=rf"instances_val2017\.json: annotation 3: .*{message}"):
        [thing.mask() for thing in dataset[0].things]


def test_missing_and_damaged_files(spec, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        open_dataset({**spec, "images": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match=r"nothing\.json: no such file"):
        open_dataset({**spec, "annotations": str(tmp_path / "nothing.json")})
    (tmp_path / "cut.json").write_text('{"images": [')
    with pytest.raises(InputError, match=r"cut\.json: not a whole JSON file"):
        open_dataset({**spec, "annotations": str(tmp_path / "cut.json")})


def test_nothing_is_decoded_before_it_is_asked_for(spec, tmp_path):
    for image in (tmp_path / "val2017").iterdir():
        image.write_bytes(b"")
    dataset = open_dataset(spec)
    assert [len(sample.things) for sample in dataset] == [3, 0, 1, 1, 0, 0]
    with pytest.raises(InputError, match=r"000000000139\.jpg: not a readable image"):
        dataset[0].image()


def with_stuff(spec, tmp_path, annotations, names=("sea", "sky", "person")):
    categories = [{"id": 100 + number, "name": name} for number, name in enumerate(names)]
    path = tmp_path / "stuff.json"
    path.write_text(json.dumps({"annotations": annotations, "categories": categories}))
    return spec | {"stuff": str(path)}


SEA = {"id": 7, "image_id": 139, "category_id": 100, "segmentation": [[4, 4, 12, 4, 12, 12, 4, 12]]}


def test_stuff_is_no_class_of_the_dataset(spec, tmp_path):
    plain = open_dataset(spec)
    dataset = open_dataset(with_stuff(spec, tmp_path, [SEA, SEA | {"category_id": 102}]))
    assert dataset.classes == plain.classes
    (sea,) = dataset[0].stuff  # persons are things already
    assert (sea.class_name, sea.class_index, sea.box) == ("sea", -1, (4, 4, 12, 12))
    assert sea.mask().sum() == 64
    assert dataset[1].stuff == [] and plain[0].stuff == []
    assert dataset[0].things[0].box == plain[0].things[0].box
    assert dataset[0].annotation_sha256() != plain[0].annotation_sha256()


def test_wrong_stuff_is_named(spec, tmp_path):
    with pytest.raises(InputError, match=r"stuff\.json: annotation 7: its category"):
        open_dataset(with_stuff(spec, tmp_path, [SEA | {"category_id": 5}]))
    with pytest.raises(InputError, match=r"nowhere\.json: no such file"):
        open_dataset(spec | {"stuff": str(tmp_path / "nowhere.json")})

"""The table of a dataset's images, made once."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from lcrp.datasets.images import check_image, image_size
from lcrp.datasets.sample import Dataset, Sample
from lcrp.errors import InputError
from lcrp.files import sha256, whole

COLUMNS = (
    "id",
    "file",
    "height",
    "width",
    "classes",
    "sha256",
    "annotation",
    "status",
)
SEPARATOR = ";"


def write_index(
    dataset: Dataset,
    path: str | os.PathLike,
    limit: int | None = None,
    progress: Callable[[Sequence], Iterable] = iter,
) -> pd.DataFrame:
    """Write one row per image as CSV, whole or not at all.

    Columns: id, file (below the dataset's images), height and width (pixels; 0 if unknown),
    classes (names, separated by ";"), sha256 (of the file), annotation (sha256 of what is
    annotated), status ("ok"; "unreadable" for an image that cannot be decoded; "wrong-size" for one
    that is not of the annotated size).

    Args:
        dataset: whose images.
        path: the file to write.
        limit: take only the first images.
        progress: wraps the samples, as tqdm does.

    Returns:
        The table.

    Raises:
        InputError: an image is missing, or an annotation wrong.
    """
    samples = dataset[: limit or len(dataset)]
    missing = [sample.path for sample in samples if not sample.path.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: no such image, though the dataset lists it ({len(missing)} of "
            f"{len(samples)} are missing); check the folder, or get the files"
        )
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        rows = pool.map(index_row, samples)
        rows = [row for _, row in zip(progress(samples), rows, strict=True)]
    _check_sizes(dataset, samples, rows)
    dataset.check_annotations(rows)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    with whole(path) as part:
        table.to_csv(part, index=False)
    return table


def _check_sizes(dataset, samples, rows):
    """Stop where no image is of its annotated size: then nothing would be explained."""
    wrong = [number for number, row in enumerate(rows) if row["status"] == "wrong-size"]
    fitting = [row for row in rows if row["status"] == "ok"]
    if not wrong or fitting:
        return
    sample, row = samples[wrong[0]], rows[wrong[0]]
    found = image_size(sample.path, dataset.declared_size(sample))
    raise InputError(
        f"{sample.path}: the image has {found[0]} x {found[1]} pixels, its annotation is for "
        f"{row['height']} x {row['width']} (height x width), and so it is with each of the "
        f"{len(wrong)} images; use the images that were annotated, or annotations of these"
    )


def read_index(path: str | os.PathLike) -> pd.DataFrame:
    """The table that `write_index` wrote, with ids and classes as text.

    Raises:
        InputError: the file is no such table.
    """
    path = Path(path)
    try:
        table = pd.read_csv(
            path,
            dtype={column: str for column in COLUMNS if column not in ("height", "width")},
            keep_default_na=False,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable index ({error}); make it again") from error
    absent = [column for column in COLUMNS if column not in table]
    if absent:
        raise InputError(f"{path}: the index has no column {absent[0]}; make it again")
    return table


def index_row(sample: Sample) -> dict:
    """The row of one sample; see `write_index`."""
    size = sample.dataset.declared_size(sample)
    try:
        check_image(sample.path)
        found = image_size(sample.path, size)
        status = "ok" if size in (None, found) else "wrong-size"
        size = size or found
    except InputError:
        status = "unreadable"
        size = size or (0, 0)
    sample.size = size
    names = [sample.dataset.classes[index] for index in sample.classes_present]
    return {
        "id": sample.id,
        "file": sample.file,
        "height": size[0],
        "width": size[1],
        "classes": SEPARATOR.join(names),
        "sha256": sha256(sample.path),
        "annotation": sample.annotation_sha256(),
        "status": status,
    }

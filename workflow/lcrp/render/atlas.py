"""Small pictures of concepts for the report: their reference images side by side in strips."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from lcrp.file_names import FileNames
from lcrp.render.concepts import reference_tile

TILE = 112  # pixels
TOGETHER = 64  # strips that are held in memory, and share their images


def draw_atlas(
    references, folder, *, layers, concepts=64, leading=3, count=8, kept=8, progress=iter
):
    """Draws the reference strips of a store's concepts.

    references: `lcrp.render.References`. layers: names. concepts: of each layer, so many are
    drawn with their references over all classes, the most relevant on average first; leading: so
    many of each class with references of that class. count: tiles per strip; kept: as many
    references are computed and kept, for figures that show more. Writes
    `<folder>/<layer>/<concept>.webp` and `<concept>-<class index>.webp`, and `atlas.json`, which
    lists per layer and strip the image behind each tile. The folder appears when it is complete.
    """
    folder = Path(folder)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(draft, ignore_errors=True)
    store = references.store
    strips = {layer: {} for layer in layers}
    layer_files, class_files = FileNames(store.layers), FileNames(store.classes)
    try:
        keys = _drawn(store, layers, concepts, leading)
        for start in progress(range(0, len(keys), TOGETHER)):
            found = references.several(keys[start : start + TOGETHER], max(count, kept))
            for (layer, concept, class_index), tiles in found.items():
                tiles = tiles[:count]
                if not tiles:
                    continue
                name = f"{concept}" if class_index is None else f"{concept}-{class_index}"
                path = draft / layer_files[layer] / f"{name}.webp"
                path.parent.mkdir(parents=True, exist_ok=True)
                strip(tiles).save(path, quality=80, method=4)
                strips[layer][name] = [
                    [tile.image_id, class_files.get(tile.class_name, "")] for tile in tiles
                ]
        draft.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"tile": TILE, "strips": strips}, separators=(",", ":"))
        (draft / "atlas.json").write_text(text)
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _drawn(store, layers, concepts, leading):
    """(layer, concept, class index or None) of every strip."""
    present = sorted(set(store.targets["class"].tolist()))
    keys = []
    for layer in layers:
        # Those over all classes last: figures that are drawn at the same time share them.
        for number in (*present, None):
            best = store.top_concepts(
                layer, class_index=number, k=concepts if number is None else leading
            )
            relevant = best[best["mean_relevance"] > 0]["concept"]
            keys += [(layer, int(concept), number) for concept in relevant]
    return keys


def strip(tiles) -> Image.Image:
    """References side by side, each `TILE` pixels square."""
    picture = np.full((TILE, TILE * len(tiles), 3), 220, np.uint8)
    for number, tile in enumerate(tiles):
        if tile.picture is not None:
            picture[:, number * TILE : (number + 1) * TILE] = reference_tile(tile, TILE)
    return Image.fromarray(picture)

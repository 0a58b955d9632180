"""Small pictures of concepts for the report: their reference images side by side in strips."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from lcrp.render.explanation import file_name
from lcrp.render.figure import reference_tile

TILE = 112  # pixels


def draw_atlas(references, folder, *, layers, concepts=64, leading=3, count=8, progress=iter):
    """Draws the reference strips of a store's concepts.

    references: `lcrp.render.References`. layers: names. concepts: of each layer, so many are
    drawn with their references over all classes, the most relevant on average first; leading: so
    many of each class with references of that class. count: tiles per strip. Writes
    `<folder>/<layer>/<concept>.webp` and `<concept>-<class index>.webp`, and `atlas.json`, which
    lists per layer and strip the image behind each tile. The folder appears when it is complete.
    """
    folder = Path(folder)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(draft, ignore_errors=True)
    store = references.store
    strips = {layer: {} for layer in layers}
    try:
        for layer, class_index in progress(_parts(store, layers)):
            best = store.top_concepts(
                layer, class_index=class_index, k=concepts if class_index is None else leading
            )
            best = best[best["mean_relevance"] > 0]["concept"].tolist()
            found = references.of(layer, best, class_index, count)
            for concept, tiles in found.items():
                if not tiles:
                    continue
                name = f"{concept}" if class_index is None else f"{concept}-{class_index}"
                path = draft / file_name(layer) / f"{name}.webp"
                path.parent.mkdir(parents=True, exist_ok=True)
                strip(tiles).save(path, quality=80, method=4)
                strips[layer][name] = [
                    [tile.image_id, file_name(tile.class_name)] for tile in tiles
                ]
        draft.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"tile": TILE, "strips": strips}, separators=(",", ":"))
        (draft / "atlas.json").write_text(text)
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _parts(store, layers):
    """(layer, None) for the concepts over all classes, (layer, class) for a class's leading."""
    present = sorted(set(store.targets["class"].tolist()))
    return [(layer, number) for layer in layers for number in (None, *present)]


def strip(tiles) -> Image.Image:
    """References side by side, each `TILE` pixels square."""
    picture = np.full((TILE, TILE * len(tiles), 3), 220, np.uint8)
    for number, tile in enumerate(tiles):
        if tile.picture is not None:
            picture[:, number * TILE : (number + 1) * TILE] = reference_tile(tile, TILE)
    return Image.fromarray(picture)

"""Compare what two states of the code made of the same inputs, file by file.

    python benchmarks/same_results.py ../before/results results [--json FILE]

Both folders hold `results/<experiment>/...`. Stores are compared array by array and attribute by
attribute, JSON by what it holds, tables by their text, pictures by their pixels, all else by its
bytes. Times, versions and whatever holds them are left out. Prints a table, a row per experiment
and kind of file; exits with 1 if something differs or is missing on one side.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from PIL import Image

IGNORED_ATTRIBUTES = {"versions", "created"}
PICTURES = {".png", ".webp", ".jpg"}
KINDS = {".zip": "stores", ".csv": "tables", ".json": "json"} | dict.fromkeys(PICTURES, "pictures")
# Pages name versions and times.
LEFT_OUT = {"report", "references"}


def content(path):
    """What is compared of a file: a digest, or {array or attribute: digest} of a store."""
    if path.suffix == ".zip":
        return store_content(path)
    if path.suffix in PICTURES:
        with Image.open(path) as picture:
            return digest(np.asarray(picture.convert("RGBA")).tobytes())
    if path.suffix == ".json":
        return digest(json.dumps(json.loads(path.read_text()), sort_keys=True).encode())
    return digest(path.read_bytes())


def store_content(path):
    """{name of an array or attribute: digest} of a Zarr file."""
    with zarr.storage.ZipStore(path, mode="r") as store:
        root = zarr.open_group(store, mode="r")
        found = {
            f"attribute {name}": digest(json.dumps(value, sort_keys=True).encode())
            for name, value in root.attrs.items()
            if name not in IGNORED_ATTRIBUTES
        }
        for name, array in root.members(max_depth=None):
            if isinstance(array, zarr.Array):
                found[name] = array_digest(array[...])
    return found


def array_digest(values):
    """Digest of an array's type, shape and numbers or texts."""
    data = json.dumps(values.tolist()).encode() if values.dtype.kind in "OUT" else values.tobytes()
    return digest(f"{values.dtype.kind}{values.shape}".encode() + data)


def digest(data):
    """Hexadecimal sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def files(folder):
    """{relative path: path} of what is compared of an experiment."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.startswith(".")
        and not LEFT_OUT & set(path.relative_to(folder).parts)
    }


def differences(before, after):
    """Names that differ, and how: {"name": "differs", "only before" or "only after"}."""
    found = {name: "only before" for name in before.keys() - after.keys()}
    found |= {name: "only after" for name in after.keys() - before.keys()}
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            found[name] = "differs"
    return found


def compare(before, after):
    """Rows of the table, and what differs in each file of an experiment."""
    old, new = files(before), files(after)
    counted, different, details = Counter(), Counter(), {}
    for name in sorted(old.keys() | new.keys()):
        kind = KINDS.get(Path(name).suffix, "others")
        counted[kind] += 1
        if name not in old or name not in new:
            found = {name: "only after" if name in new else "only before"}
        else:
            one, other = content(old[name]), content(new[name])
            if not isinstance(one, dict):
                one, other = {name: one}, {name: other}
            found = differences(one, other)
        if found:
            different[kind] += 1
            details[name] = found
    rows = [
        {"experiment": after.name, "kind": kind, "files": counted[kind], "differ": different[kind]}
        for kind in sorted(counted)
    ]
    return rows, details


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", type=Path, help="folder with the results of one state")
    parser.add_argument("after", type=Path, help="folder with those of the other")
    parser.add_argument("--json", type=Path, help="write the same numbers to this file")
    arguments = parser.parse_args()
    rows, details = [], {}
    folders = (arguments.before, arguments.after)
    names = [{path.name for path in folder.iterdir()} for folder in folders]
    for name in sorted(set.intersection(*names)):
        if (arguments.before / name).is_dir():
            found, details[name] = compare(arguments.before / name, arguments.after / name)
            rows += found
    print(pd.DataFrame(rows).to_string(index=False))
    for name, different in details.items():
        for file, what in different.items():
            shown = ", ".join(f"{key} {how}" for key, how in list(what.items())[:6])
            print(f"{name}/{file}: {shown}" + (" ..." if len(what) > 6 else ""))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "different": details}, indent=2) + "\n")
    return 1 if any(details.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

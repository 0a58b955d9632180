"""A killed writer leaves nothing that looks finished."""

import random
import subprocess
import sys
import time

from lcrp.store import merge_shards, validate, write_shard

MERGE = """
import sys
from lcrp.store import merge_shards
print("ready", flush=True)
while True:
    merge_shards(sys.argv[1:-1], sys.argv[-1])
"""


def test_sigkill_at_any_moment(tmp_path, make_records, split_records):
    layers = {f"layer {i}": (64, (4, 4)) for i in range(20)}
    pieces = split_records(make_records(6, layers=layers), [[0, 1, 2], [3, 4, 5]])
    paths = [tmp_path / f"{n}.zarr.zip" for n in range(2)]
    for path, piece in zip(paths, pieces, strict=True):
        write_shard(path, piece)
    merge_shards(paths, tmp_path / "undisturbed")
    store = tmp_path / "merged" / "store.zarr.zip"
    clock = random.Random(0)
    for _ in range(3):
        store.unlink(missing_ok=True)
        arguments = [sys.executable, "-c", MERGE, *map(str, paths), str(store)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(clock.uniform(0, 0.4))
            process.kill()
        if store.exists():
            validate(store)
    merge_shards(paths, store)
    assert store.read_bytes() == (tmp_path / "undisturbed").read_bytes()
    assert [file.name for file in store.parent.iterdir()] == [store.name]

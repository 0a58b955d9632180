"""How the arrays of a merged store are cut into chunks; measured in benchmarks/store.py."""

CHUNK_ROWS = 1024
CHUNK_NUMBERS = 2**17
RANKING_NUMBERS = 2**15


def chunk_shape(rows: int, channels: int) -> tuple[int, int]:
    """Chunks of a merged (rows, channels) array: good for one column and for one row."""
    height = max(1, min(rows, CHUNK_ROWS))
    width = max(1, min(channels, max(64, CHUNK_NUMBERS // height)))
    return height, width

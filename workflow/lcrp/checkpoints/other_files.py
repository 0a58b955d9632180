"""Files that hold a model in a form that cannot be read here: told by their first bytes."""

import os
import zipfile
from contextlib import suppress
from pathlib import Path

A_CHECKPOINT = "give the checkpoint (.pt) that it was exported from"
HEAD = 256

BEGINNINGS = (  # bytes that a file begins with, after spaces and in small letters
    ((b"<!doctype", b"<html"), "a web page, not a checkpoint", "get the file again"),
    (
        (b"version https://git-lfs",),
        "a Git LFS pointer",
        "fetch the file itself (git lfs pull)",
    ),
    ((b"\x89hdf\r\n\x1a\n",), "an HDF5 file (Keras)", "give a checkpoint of PyTorch"),
    ((b"ftrt", b"ptrt"), "a TensorRT engine", A_CHECKPOINT),
)


def other_kind(path: str | os.PathLike) -> tuple[str, str] | None:
    """What a file is that is no checkpoint, and what to do about it: (what, remedy), or None."""
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(HEAD)
    start = head.lstrip().lower()
    if not start:
        return "empty", "get it again"
    for beginnings, what, remedy in BEGINNINGS:
        if start.startswith(beginnings):
            return what, remedy
    if start.startswith(b"<?xml"):
        network = b"<net" in start
        return ("an OpenVINO network", A_CHECKPOINT) if network else BEGINNINGS[0][1:]
    # The message of a protocol buffer: its version, then who wrote it.
    if head[:1] == b"\x08" and (path.suffix == ".onnx" or b"pytorch" in start or b"onnx" in start):
        return "an ONNX network", A_CHECKPOINT
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite network", A_CHECKPOINT
    # Exports for TensorRT may begin with the length of a description in JSON.
    if head[4:5] == b"{" and path.suffix in (".engine", ".plan", ".trt"):
        return "a TensorRT engine", A_CHECKPOINT
    if head.startswith(b"PK") and _is_program(path):
        return "a TorchScript program", A_CHECKPOINT
    return None


def _is_program(path):
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
    return False

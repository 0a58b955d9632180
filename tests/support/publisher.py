"""The public files of the paper's experiments in miniature, served on the loopback.

The archives have the official names and layouts and a handful of images; the checkpoints hold the
full-size networks, with weights from a seed, in the form in which the authors published them.
"""

import copy
import csv
import hashlib
import io
from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import nn

from lcrp.acquire import entries_named, read_table
from lcrp.acquire.download_tables import COLUMNS
from lcrp.models import build_model
from support import official_layouts
from support.loopback_server import Server

ROOT = Path(__file__).parents[2]
# Of the classes of the miniatures; an untrained network is to predict what is annotated.
ANNOTATED = {"unet": (0, 10, 13, 18, 19), "deeplabv3plus": (1, 15, 20)}
PAIRS = {
    "unet-cityscapes": "unet",
    "deeplabv3plus-voc2012": "deeplabv3plus",
    "yolov5m-coco2017": "yolov5m",
    "yolov6s-coco2017": "yolov6s",
    "ssd512-coco2014": "ssd512",
}


def network(architecture):
    """A network of the published size whose signals neither vanish nor explode."""
    torch.manual_seed(0)
    built = build_model(architecture).network.train()
    for module in built.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        if architecture in ANNOTATED:
            head = [module for module in built.modules() if isinstance(module, nn.Conv2d)][-1]
            head.bias.fill_(-1e3)
            head.bias[list(ANNOTATED[architecture])] = 0.0
        if architecture == "ssd512":
            for header in built.model.box_head.predictor.reg_headers:
                header.weight.mul_(1e-3)
        # Batch norms take the statistics of noise.
        if any(isinstance(module, nn.BatchNorm2d) for module in built.modules()):
            built(torch.rand(2, 3, 128, 128))
    return built.eval()


def published(name, built):
    """What the authors' file holds of a network."""
    state = built.state_dict()
    if name == "deeplabv3plus-voc2012":
        return {"cur_itrs": 30000, "model_state": state, "optimizer_state": {}, "best_score": 0.77}
    if name == "ssd512-coco2014":
        bare = {key.removeprefix("model."): value for key, value in state.items()}
        return {"model": bare, "optimizer": {"state": {}, "param_groups": []}, "iteration": 500000}
    if name == "yolov6s-coco2017":
        # A whole model object in half precision; its class is not imported when it is read.
        whole = copy.deepcopy(built).half()
        return {"model": whole, "ema": None, "updates": 300, "optimizer": None, "epoch": -1}
    return state


class Publisher:
    """A server with the public files, and tables that lead to it.

    archives : bytes by name. networks, checkpoints : what was published, and the bytes of the
        file that holds it, by experiment.
    """

    def __init__(self, folder):
        self.server = Server()
        self.networks, self.checkpoints, self.archives = {}, {}, {}
        packed = Path(folder) / "packed"
        packed.mkdir()
        for dataset, write in official_layouts.WRITERS.items():
            if dataset == "coco2017-val":  # its archives are among those of 2014's minival
                continue
            write(Path(folder) / dataset)
            for entry in entries_named(ROOT / "config/datasets.csv", dataset):
                file = official_layouts.pack(Path(folder) / dataset, entry.file, packed)
                self.archives[entry.file] = file.read_bytes()
        file = official_layouts.pack(Path(folder) / "coco2014-minival", "val2017.zip", packed)
        self.archives["val2017.zip"] = file.read_bytes()

    def checkpoint(self, name):
        """Bytes of the authors' file of an experiment."""
        if name not in self.checkpoints:
            self.networks[name] = network(PAIRS[name])
            buffer = io.BytesIO()
            torch.save(published(name, self.networks[name]), buffer)
            self.checkpoints[name] = buffer.getvalue()
        return self.checkpoints[name]

    def publish(self, config, names):
        """Write the two tables into a folder, every url with the server in place of the host."""
        checkpoints = {
            entry.file: entry.name
            for entry in read_table(ROOT / "config/checkpoints.csv")
            if entry.name in names
        }
        for table in ("datasets.csv", "checkpoints.csv"):
            rows = []
            for entry in read_table(ROOT / "config" / table):
                data = self.archives.get(entry.file)
                if entry.file in checkpoints:
                    data = self.checkpoint(checkpoints[entry.file])
                if data is None:
                    continue
                urls = [self._served(url, data) for url in entry.urls]
                published = [
                    f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
                    for algorithm, _ in entry.checksums
                ]
                rows.append([
                    entry.name, entry.file, *(urls[:1] or [""]), " ".join(urls[1:]),
                    len(data) if entry.bytes else "", " ".join(published),
                    entry.licence, entry.login, " ".join(entry.unpack),
                ])  # fmt: skip
            with (config / table).open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *rows])

    def _served(self, url, data):
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        self.server.files[path] = data
        return self.server.url + path

    def close(self):
        self.server.close()

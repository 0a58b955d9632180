"""Exchange with zennit-crp, which itself reads and writes the directories here."""

import numpy as np
import pandas as pd
import pytest
import torch
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from crp.helper import load_maximization, load_statistics
from crp.maximization import Maximization
from crp.statistics import Statistics
from crp.visualization import FeatureVisualization
from zennit.composites import EpsilonPlusFlat

from lcrp.errors import InputError
from lcrp.store import (
    LayerRecords,
    ShardRecords,
    export_crp,
    import_crp,
    merge_shards,
    open_store,
    validate,
    write_shard,
)

LAYERS = {"first": 5, "second.conv": 7}
IMAGES, CLASSES = 14, ["boat", "car", "rider"]
K = 6


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 5, 3, padding=1)
        self.relu = torch.nn.ReLU()
        self.second = torch.nn.Sequential()
        self.second.conv = torch.nn.Conv2d(5, 7, 3, stride=2)
        self.last = torch.nn.Linear(7, 3)
        self.end = torch.nn.ReLU()

    def forward(self, x):
        x = self.end(self.second(self.relu(self.first(x))))
        return self.last(x.mean((2, 3)))


class Images(torch.utils.data.Dataset):
    """Random images with one to three classes each."""

    def __init__(self):
        random = torch.Generator().manual_seed(0)
        self.images = torch.rand((IMAGES, 3, 9, 9), generator=random)
        self.classes = [[i % 3] if i % 2 else sorted({i % 3, (i // 2) % 3}) for i in range(IMAGES)]

    def __len__(self):
        return IMAGES

    def __getitem__(self, i):
        return self.images[i], np.eye(3)[self.classes[i]].sum(0)


class Visualization(FeatureVisualization):
    """As the authors of L-CRP use it: several targets per image, activation by its maximum."""

    def __init__(self, attribution, dataset, path):
        concept = ChannelConcept()
        super().__init__(attribution, dataset, dict.fromkeys(LAYERS, concept), path=str(path))
        self.ActMax = Maximization("activation", "max", True, str(path))
        self.ActStats = Statistics("activation", "max", True, str(path))
        for part in (self.RelMax, self.ActMax, self.RelStats, self.ActStats):
            part.SAMPLE_SIZE = K

    def multitarget_to_single(self, target):
        return np.flatnonzero(target)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """zennit-crp's own directory, and our store of the same images and network."""
    folder = tmp_path_factory.mktemp("crp")
    torch.manual_seed(0)
    net, dataset = Net().eval(), Images()
    attribution = CondAttribution(net)
    theirs = Visualization(attribution, dataset, folder / "theirs")
    theirs.run(EpsilonPlusFlat(), 0, IMAGES, batch_size=4)

    rows = [(i, c) for i, classes in enumerate(dataset.classes) for c in classes]
    collected = {name: [] for name in LAYERS}
    for image, index in rows:
        data = dataset.images[image : image + 1].clone().requires_grad_()
        result = attribution(data, [{"y": [index]}], EpsilonPlusFlat(), record_layer=list(LAYERS))
        for name in LAYERS:
            relevance = result.relevances[name][0].flatten(1)
            activation = result.activations[name][0].flatten(1)
            collected[name].append(
                [relevance.sum(1), relevance.argmax(1), activation.amax(1), activation.argmax(1)]
            )
    firsts = [next(r for r, (i, _) in enumerate(rows) if i == image) for image in range(IMAGES)]
    layers = {}
    for name, values in collected.items():
        relevance, position, activation, place = (
            np.stack([row[part].detach().numpy() for row in values]) for part in range(4)
        )
        layers[name] = LayerRecords(
            relevance, position, None, activation[firsts], place[firsts], (9, 9)
        )
    records = ShardRecords(
        {"classes": CLASSES},
        pd.DataFrame({"id": [f"image {i}" for i in range(IMAGES)], "status": "ok"}),
        pd.DataFrame(rows, columns=["image", "class"]),
        layers,
    )
    write_shard(folder / "shard", records)
    merge_shards([folder / "shard"], folder / "store", top_k=K)
    with open_store(folder / "store") as store:
        export_crp(store, folder / "ours")
        yield folder, attribution, dataset, store


def agree(ours, theirs):
    """The same samples, values and positions, but for what rounding may swap."""
    data, rel, rf = (np.asarray(a) for a in ours)
    data_, rel_, rf_ = (np.asarray(a) for a in theirs)
    assert data.shape == data_.shape and data.dtype == data_.dtype and rf.dtype == rf_.dtype
    np.testing.assert_allclose(rel, rel_, rtol=2e-3, atol=1e-6)
    gap = np.abs(np.diff(rel_, axis=0))
    near = np.zeros(rel_.shape, bool)
    near[:-1] |= gap <= 2e-3 * np.abs(rel_[:-1])
    near[1:] |= gap <= 2e-3 * np.abs(rel_[1:])
    near[-1] = True
    assert (~near).mean() > 0.3
    np.testing.assert_array_equal(data[~near], data_[~near])
    np.testing.assert_array_equal(rf[~near], rf_[~near])


@pytest.mark.parametrize("layer", LAYERS)
def test_export_is_what_zennit_crp_finds(world, layer):
    folder, *_ = world
    for kind in ("RelMax_sum_normed", "ActMax_max_normed"):
        agree(*(load_maximization(folder / who / kind, layer) for who in ("ours", "theirs")))
    for index in range(3):
        agree(
            *(
                load_statistics(folder / who / "RelStats_sum_normed", layer, index)
                for who in ("ours", "theirs")
            )
        )
    assert np.load(folder / "ours/RelStats_sum_normed/targets.npy").tolist() == [0, 1, 2]


def test_zennit_crp_reads_an_export(world, monkeypatch):
    folder, attribution, dataset, store = world
    reader = Visualization(attribution, dataset, folder / "ours")
    for mode in ("relevance", "activation"):
        images = reader.get_max_reference([0, 3], "first", mode, (0, 4), plot_fn=None)
        for concept in (0, 3):
            best = store.best("first", concept, by=mode, k=4)
            if mode == "relevance":
                expected = dataset.images[best["image"].tolist()]
                assert torch.equal(images[concept], expected)
            assert images[concept].shape == (4, 3, 9, 9)
    images, heatmaps = reader.get_max_reference(
        2, "second.conv", "relevance", (0, 3), EpsilonPlusFlat(), rf=True, plot_fn=None
    )[2]
    assert images.shape == (3, 3, 9, 9) and heatmaps.abs().sum() > 0
    of_class = reader.get_stats_reference(2, "second.conv", 1, "relevance", (0, 2), plot_fn=None)
    best = store.best("second.conv", 2, class_index="car", k=2)
    assert torch.equal(of_class["2:1"], dataset.images[best["image"].tolist()])
    # zennit-crp asks for an alias that NumPy has dropped.
    monkeypatch.setattr(np, "int", int, raising=False)
    classes, values = reader.compute_stats(2, "second.conv", top_N=3, mean_N=2)
    assert sorted(classes.tolist()) == [0, 1, 2] and torch.isfinite(values).all()


def test_import_answers_with_their_samples(world, tmp_path):
    folder, *_ = world
    ids = [f"image {i}" for i in range(IMAGES)]
    import_crp(folder / "theirs", tmp_path / "s", ids, CLASSES, {"experiment": "authors"})
    assert validate(tmp_path / "s")["concepts"] == 12
    with open_store(tmp_path / "s") as store:
        assert store.layers == list(LAYERS) and store.attrs["experiment"] == "authors"
        for layer, channels in LAYERS.items():
            data, rel, rf = load_maximization(folder / "theirs/RelMax_sum_normed", layer)
            act, *_ = load_maximization(folder / "theirs/ActMax_max_normed", layer)
            for concept in range(channels):
                best = store.best(layer, concept)
                assert best["image"].tolist() == data[:, concept].tolist()
                assert best["position"].tolist() == rf[:, concept].tolist()
                np.testing.assert_array_equal(best["value"].astype("f4"), rel[:, concept])
                assert (best["class"] >= 0).all()
                best = store.best(layer, concept, by="activation")
                assert best["image_id"].tolist() == [ids[i] for i in act[:, concept]]
                data_, *_ = load_statistics(folder / "theirs/RelStats_sum_normed", layer, 2)
                best = store.best(layer, concept, class_index="rider")
                assert best["image"].tolist() == data_[:, concept].tolist()
        with pytest.raises(InputError, match="reference samples only"):
            store.profile(0, "first")


def test_the_class_of_a_sample_is_found_again(world, tmp_path):
    folder, _, _, ours = world
    import_crp(folder / "ours", tmp_path / "s", list(ours.images["id"]), CLASSES)
    with open_store(tmp_path / "s") as store:
        for concept in range(5):
            one, two = ours.best("first", concept), store.best("first", concept)
            assert one[["image_id", "class"]].equals(two[["image_id", "class"]])


def files_of(folder):
    return {p.relative_to(folder): np.load(p) for p in sorted(folder.rglob("*.npy"))}


def test_there_and_back(world, tmp_path):
    folder, _, _, ours = world
    import_crp(folder / "ours", tmp_path / "s", list(ours.images["id"]), CLASSES)
    with open_store(tmp_path / "s") as store:
        export_crp(store, tmp_path / "again")
    before, after = files_of(folder / "ours"), files_of(tmp_path / "again")
    assert list(before) == list(after)
    for path, values in before.items():
        np.testing.assert_array_equal(after[path], values, err_msg=str(path))


def test_relmax_alone_is_enough(world, tmp_path):
    folder, *_ = world
    only = tmp_path / "only" / "RelMax_sum_normed"
    only.mkdir(parents=True)
    for path in (folder / "theirs/RelMax_sum_normed").iterdir():
        (only / path.name).write_bytes(path.read_bytes())
    import_crp(only.parent, tmp_path / "s", [f"{i}" for i in range(IMAGES)], CLASSES)
    with open_store(tmp_path / "s") as store:
        assert (store.best("first", 1)["class"] == -1).all()
        with pytest.raises(InputError, match="activation was not recorded"):
            store.best("first", 1, by="activation")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: (d / "first_rf.npy").unlink(), r"first_rf\.npy: no such file"),
        (lambda d: (d / "first_rel.npy").write_bytes(b"x"), r"first_rel\.npy: no NumPy array"),
        (lambda d: np.save(d / "first_rel.npy", np.ones((2, 5))), "does not fit"),
        (lambda d: np.save(d / "first_data.npy", np.full((K, 5), 99)), "sample 99 of 14"),
        (lambda d: [p.unlink() for p in d.iterdir()], "no <layer>_data.npy"),
    ],
)
def test_damaged_directories(world, tmp_path, change, words):
    folder, *_ = world
    there = tmp_path / "d" / "RelMax_sum_normed"
    there.mkdir(parents=True)
    for path in (folder / "ours/RelMax_sum_normed").iterdir():
        (there / path.name).write_bytes(path.read_bytes())
    change(there)
    with pytest.raises(InputError, match=words):
        import_crp(there.parent, tmp_path / "s", [f"{i}" for i in range(IMAGES)], CLASSES)
    assert not (tmp_path / "s").exists()


def test_no_directory(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        import_crp(tmp_path / "none", tmp_path / "s", [], [])
    with pytest.raises(InputError, match="no directory RelMax_sum_normed"):
        import_crp(tmp_path, tmp_path / "s", [], [])

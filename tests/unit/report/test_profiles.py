import numpy as np
import pandas as pd
import pytest

from lcrp.joined_tables import context_tables
from lcrp.report.profiles import layer_profile
from lcrp.store import open_store
from support.synthetic_experiment import CLASSES, store_of

LAYER = "model.8.cv3.conv"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with open_store(store_of(tmp_path_factory.mktemp("store"), images=30)) as opened:
        yield opened


def test_means_are_those_of_the_store(store):
    profile = layer_profile(store, LAYER)
    for row, class_index in [*enumerate(profile.classes), (-1, None)]:
        best = store.top_concepts(LAYER, class_index=class_index, k=24)
        np.testing.assert_allclose(
            profile.relevance[row][best["concept"]], best["mean_relevance"], rtol=1e-6
        )
        leading = profile.leading(class_index, 3)
        assert [concept for concept, _, _ in leading] == best["concept"].tolist()[:3]


def test_shares_outside_are_those_of_the_context_tables(store):
    profile = layer_profile(store, LAYER)
    table = context_tables(store, minimum_targets=1, draws=2)["concepts"]
    table = table[table["layer"] == LAYER]
    compared = 0
    for row, class_index in enumerate(profile.classes):
        scores = table[table["class"] == CLASSES[class_index]].set_index("concept")
        expected = scores["context_score"].reindex(range(profile.channels)).astype(float)
        np.testing.assert_allclose(profile.outside[row], expected, rtol=1e-4, atol=1e-5)
        compared += int(pd.notna(expected).sum())
    assert compared > 50


def test_unannotated_class_has_no_share(store):
    profile = layer_profile(store, LAYER)
    row = profile.classes.tolist().index(1)
    assert np.isnan(profile.outside[row]).all()
    assert np.isfinite(profile.outside[-1]).all()


def test_blocks_of_concepts_do_not_matter(store, monkeypatch):
    whole = layer_profile(store, LAYER)
    monkeypatch.setattr("lcrp.report.profiles.CONCEPTS_AT_ONCE", 7)
    parts = layer_profile(store, LAYER)
    np.testing.assert_allclose(whole.relevance, parts.relevance)
    np.testing.assert_allclose(whole.outside, parts.outside)

"""Context scores against a plain loop over targets and concepts."""

import numpy as np
import pytest

from lcrp.joined_tables import context_tables

TARGETS = [(i, 0) for i in range(6)]


def slow_scores(store, layer, index, minimum=5, best_of=15):
    """Per concept: context score, score over the best targets, their number."""
    recorded = store.layer(layer)
    relevance = recorded.relevance[...].astype(float)
    inside = recorded.inside[...].astype(float)
    share = relevance / np.abs(relevance).sum(1, keepdims=True)
    rows = [t for t in np.flatnonzero(store.targets["class"] == index) if np.isfinite(inside[t, 0])]
    for concept in range(relevance.shape[1]):
        within = whole = 0.0
        for t in rows:
            if relevance[t, concept] > 0:
                within += inside[t, concept]
                whole += relevance[t, concept]
        scored = [t for t in rows if relevance[t, concept] > 0]
        scored.sort(key=lambda t: (-share[t, concept], t))
        single = [1 - inside[t, concept] / relevance[t, concept] for t in scored[:best_of]]
        yield 1 - within / whole, np.mean(single), len(single)


@pytest.mark.parametrize("best_of", [4, 15])
def test_all_concepts_of_all_classes(random_store, best_of):
    concepts = context_tables(random_store, relmax_targets=best_of)["concepts"]
    assert len(concepts) == 3 * 75
    for (name, layer), table in concepts.groupby(["class", "layer"]):
        table = table.sort_values("concept")
        index = random_store.class_index(name)
        expected = np.array(list(slow_scores(random_store, layer, index, best_of=best_of)))
        np.testing.assert_allclose(table["context_score"], expected[:, 0], atol=2e-6)
        np.testing.assert_allclose(table["context_score_relmax"], expected[:, 1], atol=2e-6)
        np.testing.assert_array_equal(table["relmax_targets"], expected[:, 2])
        assert (table["kind"] == "exact").all() and (table["note"] == "").all()
        assert (table["context_low"] <= table["context_score"] + 1e-6).all()
        assert (table["context_high"] >= table["context_score"] - 1e-6).all()


def test_share_rank_and_references(random_store):
    concepts = context_tables(random_store, leading=3)["concepts"]
    for (name, layer), table in concepts.groupby(["class", "layer"]):
        rows = np.flatnonzero(random_store.targets["class"] == random_store.class_index(name))
        share = random_store.normalised(layer, rows).mean(axis=0)
        assert table["rank"].tolist() == list(range(1, len(share) + 1))
        np.testing.assert_allclose(table["share"], np.sort(share)[::-1], rtol=1e-6)
        first = table.iloc[0]
        best = random_store.best(layer, first["concept"], class_index=name, k=3)
        assert first["references"].split(" ") == best["target"].astype(str).tolist()
        assert first["reference_images"].split("; ") == best["image_id"].tolist()


def test_landed_relevance_is_what_inside_is_compared_with(build_store):
    relevance = np.full((6, 2), 4.0)
    store = build_store(
        TARGETS, relevance, relevance / 4, landed={"conv": np.tile([2.0, 1.0], (6, 1))}
    )
    concepts = context_tables(store)["concepts"].set_index("concept")
    np.testing.assert_allclose(concepts["context_score"].sort_index(), [0.5, 0], atol=1e-6)


def test_signed_relevance_is_named_and_not_clipped(build_store):
    relevance = np.array([[1.0, 1, 1]] * 5 + [[1.0, -1, 1]])
    inside = np.array([[0.5, 0.5, 2]] * 6)
    concepts = context_tables(build_store(TARGETS, relevance, inside))["concepts"]
    concepts = concepts.sort_values("concept")
    assert concepts["kind"].tolist() == ["exact", "signed share", "signed share"]
    np.testing.assert_allclose(concepts["context_score"], [0.5, 0.5, -1], atol=1e-6)


def test_rounding_does_not_make_a_score_signed(build_store):
    relevance = np.exp(np.random.default_rng(0).normal(size=(6, 50)))
    inside = relevance * (1 + 2.0**-12)
    concepts = context_tables(build_store(TARGETS, relevance, inside))["concepts"]
    assert (concepts["kind"] == "exact").all() and (concepts["context_score"] == 0).all()


def test_concept_without_relevance(build_store):
    relevance = np.tile([1.0, 0.0], (6, 1))
    concepts = context_tables(build_store(TARGETS, relevance, relevance / 2))["concepts"]
    silent = concepts[concepts["concept"] == 1].iloc[0]
    assert np.isnan(silent["context_score"]) and silent["note"] == "no positive relevance"
    assert silent["share"] == 0 and silent["rank"] == 2


def test_targets_of_one_image_are_drawn_together(build_store):
    together = [(0, 0)] * 5 + [(1, 0)] * 5
    apart = [(i, 0) for i in range(10)]
    share = np.r_[np.full(5, 0.1), np.full(5, 0.9)][:, None]
    ones = np.ones((10, 1))
    width = []
    for targets in (together, apart):
        row = context_tables(build_store(targets, ones, share))["classes"].iloc[0]
        assert row["context_score"] == pytest.approx(0.5, abs=1e-3)
        width.append(row["context_high"] - row["context_low"])
    assert width[0] == pytest.approx(0.8, abs=1e-2) and width[1] < 0.7

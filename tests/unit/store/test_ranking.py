"""The best rows of every channel, against sorting in plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lcrp.store.ranking import normalised, top_rows

TIED = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan])


@settings(deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(0, 3)), elements=TIED),
    st.integers(1, 15),
)
def test_best_first_ties_by_row_nan_never(values, k):
    rows = top_rows(values, k)
    assert rows.shape == (k, values.shape[1])
    for channel, column in enumerate(values.T):
        numbers = [(-value, row) for row, value in enumerate(column) if not np.isnan(value)]
        expected = [row for _, row in sorted(numbers)][:k]
        assert rows[: len(expected), channel].tolist() == expected
        assert (rows[len(expected) :, channel] == -1).all()


def test_many_rows_against_a_full_sort():
    random = np.random.default_rng(1)
    values = np.round(random.normal(size=(3000, 20)), 1)
    expected = np.argsort(-values, axis=0, kind="stable")[:40]
    np.testing.assert_array_equal(top_rows(values, 40), expected)


def test_normalised_relevance_of_odd_targets():
    relevance = np.float32([[1, -3], [0, 0], [np.nan, 1]])
    result = normalised(relevance, np.array([4.0, 0.0, np.nan]))
    np.testing.assert_array_equal(result, [[0.25, -0.75], [0, 0], [np.nan, np.nan]])

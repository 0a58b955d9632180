"""Interventions change what they should and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrp.effect import pixels as change
from lcrp.models.preprocessing import letterbox


def picture(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def block(height=20, width=30, rows=slice(5, 12), columns=slice(8, 15)):
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = True
    return mask


WHOLE = (slice(0, 20), slice(0, 30))


def test_object_stays_and_background_is_the_donors():
    image, donor, mask = picture(), picture(seed=1), block()
    after = change.put_into(image, mask, WHOLE, donor, WHOLE)
    assert np.array_equal(after[mask], image[mask])
    assert np.array_equal(after[~mask], donor[~mask])


def test_padding_stays_and_a_donor_of_other_shape_covers_the_image():
    image, geometry = letterbox(picture(20, 30), (32, 32))
    content = change.content_of(geometry)
    assert (content[0].stop - content[0].start) / 32 == pytest.approx(20 / 30, abs=0.05)
    assert content[1] == slice(0, 32)
    tall = np.zeros((40, 10, 3), np.uint8)
    tall[:, :, 0] = 200
    donor, donor_geometry = letterbox(tall, (32, 32))
    mask = block(32, 32)
    after = change.put_into(image, mask, content, donor, change.content_of(donor_geometry))
    padding = np.ones((32, 32), bool)
    padding[content] = False
    assert padding.any()
    assert np.array_equal(after[padding], image[padding])
    assert (after[content][~mask[content]] == (200, 0, 0)).all()
    assert np.array_equal(after[mask], image[mask])


@pytest.mark.parametrize("name", ["blurred", "noisy", "plain"])
def test_replacements_keep_the_object_and_change_the_rest(name):
    image, mask = picture(), block()
    more = [np.random.default_rng(5)] if name == "noisy" else []
    after = getattr(change, name)(image, mask, WHOLE, *more)
    assert np.array_equal(after[mask], image[mask])
    assert (after[~mask] != image[~mask]).any(axis=1).mean() > 0.9
    spread = after[~mask].std(axis=0).max()
    assert spread < 1e-9 if name == "plain" else spread > 0
    assert np.array_equal(getattr(change, name)(image, mask | True, WHOLE, *more), image)


@pytest.mark.parametrize("side", [20, 300])
def test_painting_over_fills_from_the_surroundings(side):
    image = np.full((side, 30, 3), 90, np.uint8)
    region = block(side, 30)
    image[region] = 250
    after = change.painted_over(image, region)
    assert np.array_equal(after[~region], image[~region])
    # On large images a fill is made on fewer pixels, where an edge is less sharp.
    assert np.abs(after[region].astype(int) - 90).max() <= (5 if side == 20 else 60)
    assert np.array_equal(change.painted_over(image, region & False), image)


@given(top=st.integers(0, 12), left=st.integers(0, 22), seed=st.integers(0, 99), far=st.booleans())
def test_elsewhere_is_as_large_and_nowhere_forbidden(top, left, seed, far):
    region = block(rows=slice(top, top + 7), columns=slice(left, left + 7))
    forbidden = block(rows=slice(0, 6), columns=slice(0, 30 if far else 6))
    found = change.elsewhere(region, forbidden, np.random.default_rng(seed))
    assert found.sum() == region.sum()
    assert not (found & (region | forbidden)).any()


def test_no_room_elsewhere():
    region = block(rows=slice(0, 20), columns=slice(0, 22))
    random = np.random.default_rng(0)
    assert change.elsewhere(region, region & False, random) is None
    narrow = block(rows=slice(0, 20), columns=slice(0, 18))
    found = change.elsewhere(narrow, narrow & False, random)
    assert found.sum() == 20 * 12 and not (found & narrow).any()
    assert change.elsewhere(region & False, region, random) is None


def test_grown_masks():
    mask = block()
    assert np.array_equal(change.grown(mask, 0), mask)
    larger = change.grown(mask, 2)
    assert larger[mask].all() and larger[4, 10] and larger[3, 10] and not larger[2, 10]
    assert not change.grown(mask & False, 3).any()

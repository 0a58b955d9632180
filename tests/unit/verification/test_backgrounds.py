"""Images before other backgrounds."""

import numpy as np
import pytest
import torch

from lcrp.models.preprocessing import IMAGENET, UNIT
from lcrp.verification.backgrounds import KINDS, STRENGTHS, replaced_backgrounds


def test_backgrounds_leave_the_object_alone():
    torch.manual_seed(1)
    image, mask = torch.rand(3, 40, 40), np.zeros((40, 40), bool)
    mask[5:20, 5:20] = True
    made = replaced_backgrounds(image, mask, UNIT, (0, 7))
    assert made.shape == (len(KINDS) * len(STRENGTHS), 3, 40, 40)
    inside = torch.from_numpy(mask)
    assert (made[:, :, inside] == image[:, inside]).all()
    outside = made[:, :, ~inside]
    mean = torch.tensor(IMAGENET.mean)
    torch.testing.assert_close(outside[5], mean[:, None].expand_as(outside[5]))
    torch.testing.assert_close(outside[4], (outside[5] + image[:, ~inside]) / 2)
    assert (outside[7].std(dim=1) < 1e-6).all()
    spread = (outside[3] - mean[:, None]) / torch.tensor(IMAGENET.std)[:, None]
    assert spread.min() > -1.5 - 1e-5 and spread.max() < 1.5 + 1e-5
    assert spread.std() == pytest.approx(3 / 12**0.5, rel=0.05)
    grey = (outside[1] - mean[:, None]) / torch.tensor(IMAGENET.std)[:, None]
    torch.testing.assert_close(grey[0], grey[1])
    assert torch.equal(made, replaced_backgrounds(image, mask, UNIT, (0, 7)))
    assert not torch.equal(made, replaced_backgrounds(image, mask, UNIT, (0, 8)))

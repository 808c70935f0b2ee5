"""The views of test-time augmentation."""

from types import SimpleNamespace

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.inference.model import Scores
from mien.inference.views import check_views, predict_views, views_of


def ramp(size):
    """Return one image whose brightness is its column: (1, 1, size, size)."""
    return np.broadcast_to(np.arange(size, dtype=np.float32), (1, 1, size, size)).copy()


def test_flip_adds_the_mirror_image():
    first, second = views_of(ramp(8), "flip")
    assert np.array_equal(second, first[..., ::-1])


def test_scores_are_averaged_over_the_views():
    seen = []

    def predict(images):
        seen.append(images)
        left = images[:, 0, 0, :2]
        return Scores(left * 2, left, left[:, 0])

    model = SimpleNamespace(card=None, predict=predict)
    one, both = (predict_views(model, ramp(8), views) for views in ("one", "flip"))
    assert len(seen) == 3
    assert np.array_equal(one.probabilities, [[0, 1]])
    assert np.array_equal(both.probabilities, [[3.5, 3.5]])
    assert np.array_equal(both.logits, [[7, 7]])
    assert np.array_equal(both.reject, [3.5])


def test_ten_crops_are_corners_and_centre_at_the_input_size():
    views = list(views_of(ramp(48), "ten-crop"))
    assert len(views) == 10
    assert {view.shape for view in views} == {(1, 1, 48, 48)}
    # a crop of 44 columns from column c has mean c + 21.5
    assert [view.mean() for view in views[::2]] == pytest.approx([21.5, 25.5, 21.5, 25.5, 23.5], abs=1e-3)
    for view, mirror in zip(views[::2], views[1::2], strict=True):
        assert np.array_equal(mirror, view[..., ::-1])


def test_unknown_views_are_named():
    with pytest.raises(DataError, match=r"No views named 'twelve'\. Views: one, flip, ten-crop"):
        check_views("twelve")

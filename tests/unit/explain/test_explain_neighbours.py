import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.data.dataset import FaceDataset
from mien.explain.embedding import confident_mistakes, draw_plane
from mien.explain.figures import save_figure
from mien.explain.neighbours import GivenFaces, describe_neighbours, draw_neighbours, find_neighbours


def features(n=50, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_neighbours_are_those_of_the_smallest_angle():
    known = features()
    query = known[[7, 30]] * 40 + 0.01
    first, second = find_neighbours(query, known, 5)
    assert first.rows[0] == 7
    assert second.rows[0] == 30
    cosines = known @ query[0] / np.linalg.norm(known, axis=1) / np.linalg.norm(query[0])
    np.testing.assert_array_equal(first.rows, np.argsort(-cosines)[:5])
    np.testing.assert_allclose(first.distances, 1 - np.sort(cosines)[::-1][:5], atol=1e-6)
    assert first.distances[0] == pytest.approx(0, abs=1e-4)
    assert (np.diff(first.distances) >= 0).all()


def test_ties_stand_in_order_and_features_without_length_are_far():
    known = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [1, 0]], dtype=np.float32)
    (found,) = find_neighbours(np.array([[2, 0]], np.float32), known, 5)
    assert found.rows.tolist() == [0, 1, 4, 2, 3]
    assert found.distances.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("k", [0, 51])
def test_a_number_of_neighbours_that_there_is_not_is_refused(k):
    with pytest.raises(DataError, match="expected 1 to 50"):
        find_neighbours(features(1), features(), k)


def test_features_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"expected \(m, d\) and \(n, d\)"):
        find_neighbours(features(1, 7), features(), 3)
    broken = features()
    broken[3, 3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        find_neighbours(features(1), broken, 3)


def test_mistakes_are_marked_where_the_network_is_sure():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.1, 0.9]])
    found = confident_mistakes(probabilities, np.array([1, 1, 1, -1]))
    assert found.tolist() == [True, False, False, False]


def test_strips_and_planes_are_drawn(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 12, 12), dtype=np.uint8)
    searched = FaceDataset("drawn", images, np.array([3, 4, 2, 3]), np.array(["train"] * 4), FER2013_LABELS)
    given = GivenFaces(images[:2], ["one.png", "two.png"], ["happy", "sad"], np.array([0.9, 0.8], np.float32))
    known = features(4)
    rows = describe_neighbours(given, find_neighbours(known[:2], known, 3), searched.labels, FER2013_LABELS)
    nearest = {"row": 1, "label": "sad", "distance": pytest.approx(0, abs=1e-6)}
    assert rows[1]["neighbours"][0] == nearest
    assert (rows[1]["face"], rows[1]["label"], rows[1]["probability"]) == ("two.png", "sad", pytest.approx(0.8))
    files = [tmp_path / "strip.svg", tmp_path / "plane.svg"]
    save_figure(lambda: draw_neighbours(given, rows, searched, "cosine, tiny"), files[:1])
    labels = np.arange(40) % 7
    labels[-1] = -1
    plane = (features(40, 2), labels, labels == 2, FER2013_LABELS)
    save_figure(lambda: draw_plane(*plane, title="Features", notes="t-SNE of 39 faces"), files[1:])
    strip, drawn = (file.read_text(encoding="utf-8") for file in files)
    assert strip.count("<image") == 8
    for words in ("happy 90 %", "sad 80 %", "cosine, tiny"):
        assert words in strip
    for words in (*FER2013_LABELS.names, "given face", "mistake with 80 % or more (6)", "t-SNE of 39 faces"):
        assert words in drawn

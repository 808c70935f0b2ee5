import json

import numpy as np
import pytest
from planted_network import SIDE, patch_maps, patch_network, planted_faces

from mien.core.errors import DataError
from mien.explain.assessment import Faces, Method, assess, checked_maps
from mien.explain.faithfulness import CurveSettings
from mien.explain.randomization import Sanity
from mien.explain.regions import MEAN_FACE, REGIONS


def faces(count=5):
    labels = np.ones(count, dtype=np.int64)
    landmarks = [MEAN_FACE, *[None] * (count - 1)]
    return Faces.of(planted_faces(count), labels, landmarks)


def blank(images, labels):
    return np.full((len(images), SIDE, SIDE), 0.5, dtype=np.float32)


def half_blank(images, labels):
    maps = patch_maps(images, labels)
    maps[::2] = 0
    return maps


def assessed(explain=patch_maps, **options):
    return assess(patch_network, [Method("true", "stage1", explain, **options)], faces(), CurveSettings())


def test_the_true_map_beats_the_baselines():
    record = assessed().to_json()
    method = record["methods"]["true"]
    assert method["insertion"]["minus_random"] > 0.2
    assert method["deletion"]["minus_centre_interval"][1] < 0
    low, high = method["insertion"]["interval"]
    assert low <= method["insertion"]["area"] <= high
    assert method["insertion"]["area"] == pytest.approx(np.mean(method["insertion"]["areas"]), abs=1e-5)
    assert record["n"] == 5
    assert record["regions"]["from"] == {"landmarks": 1, "mean face": 4}
    assert sum(record["regions"]["area"].values()) == pytest.approx(1, abs=1e-5)
    assert list(method["regions"]) == list(REGIONS)
    assert sum(method["regions"].values()) == pytest.approx(1, abs=1e-5)
    assert method["regions"]["outside"] == 0
    assert (record["deletion_to"], record["insertion_from"]) == ("grey", "blur")
    assert record["baselines"].keys() == {"random", "centre"}
    assert "minus_random" not in record["baselines"]["random"]["deletion"]


def test_the_same_call_gives_the_same_record_and_it_is_json():
    first, second = assessed().to_json(), assessed().to_json()
    assert json.loads(json.dumps(first, allow_nan=False)) == second
    assert "areas" not in assessed().to_json(use_faces=False)["methods"]["true"]["deletion"]


def test_constant_maps_count_as_random_ones_and_are_counted():
    method = assessed(half_blank).to_json()["methods"]["true"]
    assert method["constant_maps"] == 3
    random, true = (assessed().to_json()[kind] for kind in ("baselines", "methods"))
    between = random["random"]["insertion"]["area"], true["true"]["insertion"]["area"]
    assert between[0] < method["insertion"]["area"] < between[1]
    assert -1 <= method["stability"]["correlation"] <= 1


def test_constant_maps_are_refused():
    with pytest.raises(DataError, match="are constant on all 5 faces"):
        assessed(blank)


def test_maps_that_are_not_numbers_are_one_error():
    def broken(images, labels):
        maps = patch_maps(images, labels)
        maps[1, 0, 0] = np.nan
        return maps

    with pytest.raises(DataError, match="NaN or infinity for 1 of 5 faces"):
        checked_maps(Method("broken", "", broken), faces())


def test_no_method_is_refused():
    with pytest.raises(DataError, match="No method"):
        assess(patch_network, [], faces(), CurveSettings())


def test_sanity_and_stability_are_measured_where_they_can_be():
    stops = (Sanity(0.5, "fc", 0.7, 0.6), Sanity(1.0, "stem", 0.1, 0.2))
    method = assessed(check_sanity=lambda images, labels: stops).to_json()["methods"]["true"]
    assert method["sanity"]["n"] == 5
    assert [stop["spearman"] for stop in method["sanity"]["stops"]] == [0.7, 0.1]
    assert method["stability"]["correlation"] < 1
    method = assessed(use_stability=False).to_json()["methods"]["true"]
    assert "stability" not in method
    assert "sanity" not in method

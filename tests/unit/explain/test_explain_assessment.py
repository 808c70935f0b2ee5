import json

import numpy as np
import pytest
from planted_network import SIDE, patch_maps, patch_network, planted_faces

from mien.core.errors import DataError, MienError
from mien.explain.assessment import Faces, Method, add_to_record, assess, drop_faces
from mien.explain.curves import CurveSettings
from mien.explain.regions import MEAN_FACE, REGIONS
from mien.recipes.record import RunRecord


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
    record = assessed()
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
    first, second = assessed(), assessed()
    assert json.loads(json.dumps(first, allow_nan=False)) == second
    assert "areas" not in drop_faces(assessed())["methods"]["true"]["deletion"]


def test_constant_maps_count_as_random_ones_and_are_counted():
    method = assessed(half_blank)["methods"]["true"]
    assert method["constant_maps"] == 3
    random, true = (assessed()[kind] for kind in ("baselines", "methods"))
    between = random["random"]["insertion"]["area"], true["true"]["insertion"]["area"]
    assert between[0] < method["insertion"]["area"] < between[1]
    assert -1 <= method["stability"]["correlation"] <= 1


def test_constant_and_broken_maps_are_refused():
    with pytest.raises(DataError, match="are constant on all 5 faces"):
        assessed(blank)
    with pytest.raises(DataError, match="NaN or infinity for 5 of 5 faces"):
        assessed(lambda images, labels: blank(images, labels) * np.nan)


def test_sanity_and_stability_are_measured_where_they_can_be():
    stops = [{"share": 1.0, "layer": "stem", "spearman": 0.1, "ssim": 0.2}]
    method = assessed(randomize=lambda images, labels: stops)["methods"]["true"]
    assert method["sanity"] == {"n": 5, "stops": stops}
    assert method["stability"]["correlation"] < 1
    method = assessed(use_stability=False)["methods"]["true"]
    assert "stability" not in method
    assert "sanity" not in method


def measured(*methods, **more):
    found = {name: {"n": name} for name in methods}
    return {"dataset": "fer2013", "split": "validation", "n": 5, "methods": found, **more}


def test_a_record_gets_measurements_and_keeps_the_rest(tmp_path):
    path = tmp_path / "record.json"
    RunRecord("a", {"x": 1}, {}, ["happy"], 3, 0.5, 0.25, scores={"accuracy": 0.5}).save(path)
    before = json.loads(path.read_text())
    for one in (measured("gradcam"), measured("occlusion"), measured("occlusion", split="test")):
        add_to_record(path, one)
    after = json.loads(path.read_text())
    assert {**after, "explanations": {}} == before
    assert list(after["explanations"]) == ["fer2013 validation", "fer2013 test"]
    assert list(after["explanations"]["fer2013 validation"]["methods"]) == ["gradcam", "occlusion"]
    add_to_record(path, measured("layercam", n=6))
    assert list(RunRecord.load(path).explanations["fer2013 validation"]["methods"]) == ["layercam"], "other faces"
    path.write_text("[]")
    with pytest.raises(MienError, match="not a run record"):
        add_to_record(path, measured("gradcam"))
    assert path.read_text() == "[]"

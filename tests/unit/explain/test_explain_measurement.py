import json

import pytest

from mien.core.errors import MienError
from mien.explain.measurement import add_to_record, merge
from mien.recipes.record import RunRecord


def measured(*methods, **more):
    return {
        "dataset": "fer2013",
        "split": "validation",
        "n": 5,
        "methods": {name: {"n": name} for name in methods},
        **more,
    }


def test_methods_of_the_same_faces_stand_together_and_others_replace():
    first = measured("gradcam", "layercam")
    both = merge(first, measured("layercam", "occlusion"))
    assert list(both["methods"]) == ["gradcam", "layercam", "occlusion"]
    assert merge(first, measured("occlusion", n=6))["methods"] == {"occlusion": {"n": "occlusion"}}
    assert merge("nonsense", first) == first


def test_a_record_gets_them_and_keeps_the_rest(tmp_path):
    path = tmp_path / "record.json"
    RunRecord("a", {"x": 1}, {}, ["happy"], 3, 0.5, 0.25, scores={"accuracy": 0.5}).save(path)
    before = json.loads(path.read_text())
    add_to_record(path, measured("gradcam"))
    add_to_record(path, measured("occlusion"))
    add_to_record(path, {**measured("occlusion"), "split": "test"})
    after = json.loads(path.read_text())
    assert list(after["explanations"]) == ["fer2013 validation", "fer2013 test"]
    assert list(after["explanations"]["fer2013 validation"]["methods"]) == ["gradcam", "occlusion"]
    assert {**after, "explanations": {}} == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_record_is_named_and_left_alone(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("[]")
    with pytest.raises(MienError, match="not a run record"):
        add_to_record(path, measured("gradcam"))
    assert path.read_text() == "[]"

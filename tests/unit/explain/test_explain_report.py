"""The report's section on explanation maps; broken measurements are left out of it."""

import json
import xml.etree.ElementTree as ET

import numpy as np
from planted_network import patch_maps, patch_network, planted_faces

from mien.evaluation.report.explanations import explanation_section
from mien.evaluation.report.groups import Group
from mien.evaluation.report.runs import Run
from mien.explain.assessment import Faces, Method, assess, drop_faces
from mien.explain.curves import CurveSettings

EVIL = "\"><script>alert('x')</script>"
RECORD = {"name": "spayolo/fer2013", "recipe": {}, "data": {}, "scores": {}, "curves": []}


def measured():
    faces = Faces.of(planted_faces(4), np.ones(4, dtype=np.int64), [None] * 4)
    stops = [
        {"share": 0.5, "layer": "fc", "spearman": 0.71, "ssim": 0.6},
        {"share": 1.0, "layer": "stem", "spearman": 0.123, "ssim": 0.2},
    ]
    method = Method("gradcam", "stage4", patch_maps, lambda images, labels: stops)
    record = assess(patch_network, [method], faces, CurveSettings())
    return {"dataset": "fer2013", "split": "validation", **drop_faces(record)}


def section_of(explanations):
    return explanation_section(Group((Run("a", {**RECORD, "explanations": explanations}, None),)))


def test_the_section_has_one_row_per_method_and_both_curves():
    record = measured()
    section = section_of({"fer2013 validation": record})
    drawing = ET.fromstring(section)  # noqa: S314 - made here
    insertion = record["methods"]["gradcam"]["insertion"]
    cells = ["".join(cell.itertext()) for cell in drawing.findall(".//tbody/tr")[2]]
    assert cells[:2] == ["gradcam", "stage4"]
    assert cells[4] == f"{100 * insertion['area']:.1f}"
    assert cells[5] == f"+{100 * insertion['minus_random']:.1f}"
    assert cells[9] == "0.12"
    assert "4 faces of fer2013 validation" in section
    assert section.count("<svg") == 2, "deletion and insertion curves"


BROKEN = (
    {EVIL: {"methods": {EVIL: {"layer": EVIL, "deletion": {"area": "x", "curve": [EVIL]}}}, "deletion_to": EVIL}},
    {"fer": {"methods": {"gradcam": {"sanity": {"stops": [3]}, "regions": None}}, "shares": [0, 2], "n": 1e400}},
)


def test_broken_measures_break_nothing():
    assert section_of({}) == ""
    for broken in BROKEN:
        section = section_of(json.loads(json.dumps(broken)))
        assert "<script" not in section
        ET.fromstring(section)  # noqa: S314 - made here

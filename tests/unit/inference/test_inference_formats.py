from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest

from mien.core.text import printable
from mien.core.types import Box, Face
from mien.inference.formats import result_lines
from mien.inference.results import ImageResult

LABELS = ("happy", "sad")


def face(label: str) -> Face:
    probabilities = {"happy": 0.75, "sad": 0.25} if label == "happy" else {"happy": 0.4, "sad": 0.6}
    return Face(Box(1, 2, 3, 4), 0.9, label, probabilities)


RESULTS = [
    ImageResult("a.jpg", 9, 8, [face("happy"), face("sad"), face("happy")], LABELS),
    ImageResult("b, [bold]c.jpg", 9, 8, [], LABELS, rejected=2),
]


def written(name: str, results: list[ImageResult]) -> str:
    return "\n".join(result_lines(name, results, LABELS))


def test_a_result_can_be_read_like_a_list_of_its_faces() -> None:
    faces = [face("happy"), face("sad")]
    result = ImageResult("a.jpg", 9, 8, faces, LABELS)
    assert list(result) == faces
    assert bool(ImageResult("b.jpg", 9, 8, [], LABELS)), "a result without faces is still a result"


def test_json_has_one_object_per_line() -> None:
    lines = written("json", RESULTS).splitlines()
    assert [json.loads(line) for line in lines] == [result.to_json() for result in RESULTS]


def test_csv_has_one_row_per_face() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", RESULTS))))
    assert [row["face"] for row in rows] == ["1", "2", "3", "0"]
    assert rows[1] == {
        "source": "a.jpg",
        "image_width": "9",
        "image_height": "8",
        "face": "2",
        "x": "1.0",
        "y": "2.0",
        "width": "3.0",
        "height": "4.0",
        "roll": "0.0",
        "score": "0.9",
        "label": "sad",
        "confidence": "0.6",
        "unsure": "0",
        "happy": "0.4",
        "sad": "0.6",
    }


def test_table_ends_with_how_often_each_expression_appears() -> None:
    lines = written("table", RESULTS).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["face", "appears", "probability", "box:", "x,", "y,", "w,", "h", "image"],
        ["1", "happy", "75.0", "%", "1,", "2,", "3,", "4", "a.jpg"],
        ["2", "sad", "60.0", "%", "1,", "2,", "3,", "4", "a.jpg"],
    ]
    assert lines[4].split() == ["-", "no", "face", "b,", "[bold]c.jpg"]
    assert len({line.index("a.jpg") for line in lines[1:4]} | {lines[0].index("image"), lines[4].index("b, ")}) == 1
    total = "2 images (1 without a face), 3 faces. Expressions: happy 67 % (2 of 3), sad 33 % (1 of 3)"
    assert lines[5:] == ["", total]


def test_lines_come_as_soon_as_their_results() -> None:
    taken: list[str] = []

    def results() -> Iterator[ImageResult]:
        for result in RESULTS:
            taken.append(result.source)
            yield result

    lines = result_lines("table", results(), LABELS)
    assert "probability" in next(lines)
    assert "a.jpg" in next(lines)
    assert taken == ["a.jpg"]


def test_table_without_any_face() -> None:
    end = written("table", [RESULTS[1]]).splitlines()[-1]
    assert end == "1 image. No faces detected (2 boxes rejected as non-faces; see --keep-all)"
    assert written("table", []) == ""


def test_long_names_are_not_cut() -> None:
    name = "x" * 400 + ".jpg"
    assert name in written("table", [ImageResult(name, 9, 8, [face("happy")], LABELS)])


@pytest.mark.parametrize("name", ["table", "json", "csv"])
def test_names_that_are_not_utf8_can_be_printed(name: str) -> None:
    text = written(name, [ImageResult("caf\udce9.jpg", 9, 8, [face("happy")], LABELS)])
    assert text.encode("utf-8")
    assert printable("caf\udce9é") == "caf?é"

import json

import pytest
from PIL import Image

from mien.core.errors import DataError
from mien.core.types import Box
from mien.data import box_files
from mien.data.box_files import LabelledBox, read_boxes


def add_images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(folder / name)


def coco(boxes=((1, [1, 2, 3, 4]),), names=("a.png",), **more):
    return {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names, start=1)],
        "annotations": [{"image_id": image, "bbox": box} for image, box in boxes],
        **more,
    }


def write_coco(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def voc(*objects, filename="a.png"):
    return f"<annotation><filename>{filename}</filename>{''.join(objects)}</annotation>"


def voc_object(box=(1, 2, 4, 6), name="face", more=""):
    sides = "".join(f"<{n}>{v}</{n}>" for n, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


def test_coco_boxes_are_x_y_width_height_and_images_without_any_are_listed(tmp_path):
    add_images(tmp_path, "images/a.png", "images/b.png", "images/not listed.png")
    write_coco(
        tmp_path / "annotations" / "train.json", coco([(1, [1.5, 2, 3, 4]), (1, [0, -1, 2, 2])], ["a.png", "b.png"])
    )
    assert read_boxes(tmp_path) == {
        tmp_path / "images" / "a.png": [LabelledBox(Box(1.5, 2, 3, 4)), LabelledBox(Box(0, -1, 2, 2))],
        tmp_path / "images" / "b.png": [],
    }


def test_a_crowd_is_ignored_and_only_faces_are_read_if_there_are_any(tmp_path):
    add_images(tmp_path, "a.png")
    content = coco([(1, [1, 1, 2, 2]), (1, [2, 2, 2, 2]), (1, [3, 3, 2, 2])])
    content["categories"] = [{"id": 5, "name": "Face"}, {"id": 6, "name": "dog"}]
    for row, category in zip(content["annotations"], (5, 6, 5), strict=True):
        row["category_id"] = category
    content["annotations"][2]["iscrowd"] = 1
    write_coco(tmp_path / "boxes.json", content)
    boxes = read_boxes(tmp_path)[tmp_path / "a.png"]
    assert [(box.box.x, box.is_ignored) for box in boxes] == [(1, False), (3, True)]
    content["categories"] = [{"id": 5, "name": "person"}, {"id": 6, "name": "head"}]
    write_coco(tmp_path / "boxes.json", content)
    assert len(read_boxes(tmp_path)[tmp_path / "a.png"]) == 3


def test_voc_boxes_are_two_corners_beside_the_image_or_in_annotations(tmp_path):
    add_images(tmp_path, "JPEGImages/a.png", "b.png", "c.png")
    write_coco(tmp_path / "Annotations" / "a.xml", voc(voc_object(), voc_object(more="<difficult>1</difficult>")))
    write_coco(tmp_path / "b.xml", voc(voc_object(name="dog"), filename="before it was renamed.png"))
    write_coco(tmp_path / "c.xml", voc(voc_object((0.5, 0, 2, 2), name="FACE"), filename="c"))
    assert read_boxes(tmp_path) == {
        tmp_path / "JPEGImages" / "a.png": [LabelledBox(Box(1, 2, 3, 4)), LabelledBox(Box(1, 2, 3, 4), True)],
        tmp_path / "b.png": [],
        tmp_path / "c.png": [LabelledBox(Box(0.5, 0, 1.5, 2))],
    }


def test_voc_objects_of_any_name_are_faces_if_none_is_called_so(tmp_path):
    add_images(tmp_path, "a.png")
    write_coco(tmp_path / "a.xml", voc(voc_object(name="person"), voc_object(name="")))
    assert len(read_boxes(tmp_path)[tmp_path / "a.png"]) == 2


def test_images_of_one_name_are_told_apart_by_their_folder(tmp_path):
    add_images(tmp_path, "one/a.png", "two/a.png")
    write_coco(tmp_path / "boxes.json", coco([(2, [1, 1, 1, 1])], ["one/a.png", "two\\a.png"]))
    assert [len(boxes) for boxes in read_boxes(tmp_path).values()] == [0, 1]
    (tmp_path / "boxes.json").unlink()
    write_coco(tmp_path / "two" / "a.xml", voc(voc_object()))
    assert list(read_boxes(tmp_path)) == [tmp_path / "two" / "a.png"]


def test_other_files_hidden_files_and_folders_without_boxes_are_skipped(tmp_path):
    assert read_boxes(tmp_path) == {}
    add_images(tmp_path, "a.png")
    write_coco(tmp_path / "settings.json", '{"images": 3}')
    write_coco(tmp_path / "list.json", "[1, 2]")
    write_coco(tmp_path / "page.xml", "<page/>")
    write_coco(tmp_path / ".hidden.json", "{")
    assert read_boxes(tmp_path) == {}


DOCTYPE = "<!DOCTYPE a [<!ENTITY b 'c'>]>"
NESTED = "<annotation>" + 40 * "<a>" + 40 * "</a>" + "</annotation>"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "a.json is not JSON text"),
        ("a.json", 100_000 * "[", "a.json is nested too deeply"),
        ("a.json", b"\xff\xfe", "is not JSON text"),
        ("a.json", {"images": 1, "annotations": []}, "does not fit"),
        ("a.json", {"images": [{"id": 1}], "annotations": []}, "does not fit .*file_name"),
        ("a.json", {"images": [{"id": [], "file_name": "a.png"}], "annotations": []}, "does not fit"),
        ("a.json", coco([(7, [1, 2, 3, 4])]), "image_id 7, which is not in its images"),
        ("a.json", coco([(1, [1, 2, 0, 4])]), "image a.png has the box"),
        ("a.json", coco([(1, [1, 2, 3])]), "expected x, y, width, height with an area"),
        ("a.json", coco([(1, [1, 2, 3, float("nan")])]), "expected x, y, width, height"),
        ("a.json", coco([(1, [1, 2, 3, 10**300])]), "expected x, y, width, height"),
        ("a.json", coco([(1, ["1", 2, 3, 4])]), "expected x, y, width, height"),
        ("a.json", coco(names=["b.png"]), "lists 'b.png': an image is missing"),
        ("a.json", coco(names=["../../a.jpg"]), "an image is missing"),
        ("a.json", coco(names=[""]), "an image is missing"),
        ("a.xml", "<annotation>", "a.xml is not Pascal VOC XML"),
        ("a.xml", "", "a.xml is not Pascal VOC XML"),
        ("a.xml", DOCTYPE + voc(voc_object()), "without a document type"),
        ("a.xml", (DOCTYPE + voc()).encode("utf-16"), "without a document type"),
        ("a.xml", NESTED, "a.xml is not Pascal VOC XML"),
        ("a.xml", voc(voc_object((1, 2, "x", 4))), "expected four numbers"),
        ("a.xml", voc(voc_object((1, 2, "inf", 4))), "with an area"),
        ("a.xml", voc(voc_object((1, 2, 1, 4))), "with an area"),
        ("a.xml", voc("<object/>"), "expected four numbers"),
        ("b.xml", voc(filename="c.png"), "lists 'b': an image is missing"),
    ],
)
def test_damaged_files_are_one_line_that_names_them(tmp_path, name, content, message):
    add_images(tmp_path, "a.png")
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        write_coco(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as caught:
        read_boxes(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_large_files_are_refused_before_they_are_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(box_files, "LARGEST_JSON", 100)
    write_coco(tmp_path / "a.json", 101 * " ")
    with pytest.raises(DataError, match=r"a\.json is larger than"):
        read_boxes(tmp_path)


def test_an_image_with_boxes_in_two_files_or_of_several_places_is_an_error(tmp_path):
    add_images(tmp_path, "one/a.png")
    write_coco(tmp_path / "a.json", coco())
    write_coco(tmp_path / "b.json", coco())
    with pytest.raises(DataError, match=r"has boxes in .*a\.json and in .*b\.json"):
        read_boxes(tmp_path)
    add_images(tmp_path, "two/a.png")
    with pytest.raises(DataError, match="2 images have that name"):
        read_boxes(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nowhere cannot be read"):
        read_boxes(tmp_path / "nowhere")

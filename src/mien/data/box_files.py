"""Face boxes of a folder of photographs, from COCO and Pascal VOC files.

The files may come from anywhere: their size is limited, XML with a document type (so with entities) is refused, and
only images below the folder are found.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mien.core.decoding import SUFFIXES
from mien.core.errors import DataError
from mien.core.types import Box
from mien.data.label_files import reading, walk_files

FACE = "face"
LARGEST_JSON = 256 * 2**20
LARGEST_XML = 4 * 2**20
DEEPEST_XML = 32
LARGEST_NUMBER = 1e9
COCO = 'COCO JSON: "images" with id and file_name, "annotations" with image_id and bbox'
VOC = "Pascal VOC XML without a document type"


@dataclass(frozen=True)
class LabelledBox:
    """An annotated face, in pixels of the upright image; `is_ignored`: finding it or not counts neither way."""

    box: Box
    is_ignored: bool = False


def read_boxes(folder: Path) -> dict[Path, list[LabelledBox]]:
    """Return the annotated boxes of the images below a folder, by image; a path starts with `folder`.

    COCO files are those that end in `.json` and hold "images" and "annotations": `bbox` is x, y, width, height, and
    boxes with `iscrowd` 1 are ignored. Pascal VOC files end in `.xml` and hold an "annotation": their images are found
    by `filename`, else by the file's own name, and boxes with `difficult` 1 are ignored. Other JSON and XML files are
    skipped. If any category or object name is "face", only those boxes are read; else every box is a face.

    An image that is listed without boxes has an empty list, and one that no file lists is left out.

    Args:
        folder: Contains the images and the box files, in any folders below it. Hidden files are skipped.

    Returns:
        {} if there are no box files. Images are in the order of their paths.

    Raises:
        DataError: The folder or a file cannot be read, a file is damaged or too large, a box has no area, an image is
            missing or has boxes in two files.
    """
    images = _Images(folder)
    found: dict[Path, list[LabelledBox]] = {}
    listed_in: dict[Path, Path] = {}
    for file, image, boxes in (*_read_coco_files(folder, images), *_read_voc_files(folder, images)):
        if listed_in.setdefault(image, file) != file:
            raise DataError(f"{image} has boxes in {listed_in[image]} and in {file}; keep one of them.")
        found.setdefault(image, []).extend(boxes)
    return dict(sorted(found.items()))


class _Images:
    """Finds the images below a folder by the names that box files give them."""

    def __init__(self, folder: Path) -> None:
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in walk_files(folder, SUFFIXES):
            self._by_name[path.name].append(path)
            self._by_stem[path.stem].append(path)

    def find(self, name: str, file: Path) -> Path:
        """Return the image that `file` calls `name`: beside it if there are several; `DataError` if there is none."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        return self._choose(self._by_name.get(parts[-1], []) if parts else [], parts, name, file)

    def find_by_stem(self, file: Path) -> Path:
        """Return the image that is named like `file`."""
        return self._choose(self._by_stem.get(file.stem, []), (), file.stem, file)

    @staticmethod
    def _choose(candidates: list[Path], parts: tuple[str, ...], name: str, file: Path) -> Path:
        if len(candidates) > 1:
            ending = [path for path in candidates if path.parts[-len(parts) :] == parts] if parts else candidates
            beside = [path for path in ending if path.parent == file.parent]
            candidates = beside or ending
        if len(candidates) != 1:
            what = f"{len(candidates)} images" if candidates else "an image"
            there = "have that name below the folder" if candidates else "is missing: there is none below the folder"
            raise DataError(f"{file} lists '{name[:100]}': {what} {there}; add, rename or remove images.")
        return candidates[0]


def _read_coco_files(folder: Path, images: _Images) -> Iterator[tuple[Path, Path, list[LabelledBox]]]:
    for file in walk_files(folder, (".json",)):
        with reading(file, "JSON text"):
            try:
                content = json.loads(_read_limited(file, LARGEST_JSON))
            except RecursionError:
                raise DataError(f"{file} is nested too deeply; expected {COCO}.") from None
        if not (isinstance(content, dict) and {"images", "annotations"} <= content.keys()):
            continue
        try:
            names = {row["id"]: str(row["file_name"]) for row in content["images"]}
            boxes = _coco_boxes(content, names, file)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file} does not fit ({type(error).__name__}: {error}); expected {COCO}.") from None
        for number, name in names.items():
            yield file, images.find(name, file), boxes[number]


def _coco_boxes(content: dict[str, Any], names: dict[Any, str], file: Path) -> dict[Any, list[LabelledBox]]:
    """Return the boxes of the images by their ids."""
    categories = {row["id"]: row["name"] for row in content.get("categories") or ()}
    faces = {number for number, name in categories.items() if _is_face(name)}
    boxes: dict[Any, list[LabelledBox]] = {number: [] for number in names}
    for row in content["annotations"]:
        if row["image_id"] not in names:
            raise DataError(f"{file} has a box of image_id {str(row['image_id'])[:20]}, which is not in its images.")
        if not faces or row.get("category_id") in faces:
            where = f"{file}, image {names[row['image_id']][:100]}"
            boxes[row["image_id"]].append(LabelledBox(_check_box(row["bbox"], where), row.get("iscrowd") == 1))
    return boxes


def _read_voc_files(folder: Path, images: _Images) -> Iterator[tuple[Path, Path, list[LabelledBox]]]:
    objects: dict[Path, tuple[Path, list[tuple[str, LabelledBox]]]] = {}
    for file in walk_files(folder, (".xml",)):
        root = _parse_xml(file)
        if root.tag == "annotation":
            name = (root.findtext("filename") or "").strip()
            try:
                image = images.find(name, file)
            except DataError:  # renamed after it was annotated, or named without its suffix
                image = images.find_by_stem(file)
            objects[file] = image, [_voc_box(element, file) for element in root.iterfind("object")]
    has_faces = any(_is_face(name) for _, boxes in objects.values() for name, _ in boxes)
    for file, (image, boxes) in objects.items():
        yield file, image, [box for name, box in boxes if not has_faces or _is_face(name)]


def _voc_box(element: Element, file: Path) -> tuple[str, LabelledBox]:
    texts = [element.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = (float(text or "") for text in texts)
    except ValueError:
        raise DataError(f"{file} has an object with bndbox {texts}; expected four numbers.") from None
    box = _check_box((left, top, right - left, bottom - top), str(file))
    is_ignored = (element.findtext("difficult") or "").strip() == "1"
    return element.findtext("name") or "", LabelledBox(box, is_ignored)


def _check_box(values: Any, where: str) -> Box:
    """Return x, y, width, height as a box; `DataError` unless they are finite numbers and there is an area."""
    is_numbers = isinstance(values, list | tuple) and all(type(value) in (int, float) for value in values)
    is_box = is_numbers and len(values) == 4 and all(abs(value) < LARGEST_NUMBER for value in values)
    if not (is_box and min(values[2:]) > 0):
        raise DataError(f"{where} has the box {str(values)[:100]}; expected x, y, width, height with an area.")
    return Box(*map(float, values))


def _is_face(name: Any) -> bool:
    return str(name).strip().lower() == FACE


def _parse_xml(file: Path) -> Element:
    """Return the root of an XML file; `DataError` if it is damaged, nested deeply or has a document type."""
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST_XML:
            raise ValueError
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise ValueError

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse  # entities are declared there; one could stand for gigabytes or a file
    with reading(file, VOC):
        try:
            parser.Parse(_read_limited(file, LARGEST_XML), True)
        except expat.ExpatError:
            raise ValueError from None
    return builder.close()


def _read_limited(file: Path, limit: int) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise DataError(f"{file} is larger than {limit / 2**20:.0f} MiB; split it into several files.")
    return content

"""Assess a network's methods on faces: curves against two baselines, face regions and sanity checks."""

from __future__ import annotations

import copy
import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.image import to_batch
from mien.data.dataset import FaceDataset
from mien.explain.curves import Curves, CurveSettings, centre_gaussian, compute_curves, mean_interval, random_map
from mien.explain.maps import Images, Labels, Maps, Predict
from mien.explain.methods import PARTS, STAGE_METHODS, Explainer
from mien.explain.regions import REGIONS, Source, area_shares, attribution_shares, face_regions, find_landmarks
from mien.explain.sanity import Explain, compare_randomized, measure_stability
from mien.explain.similarity import is_constant
from mien.inference.detectors import Detector
from mien.recipes.record import RunRecord

FORMAT = "mien-faithfulness-1"
# Faces of the comparison with a randomized network, which computes five more maps of each.
SANITY_FACES = 32
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Faces:
    """Faces to measure maps on.

    Attributes:
        images: (n, c, h, w) float32, normalized.
        labels: (n,) int64, the explained class: the one the network predicts.
        regions: (n, h, w) int8, positions in `REGIONS`.
        sources: Where the regions of each face come from, n of them.
    """

    images: Images
    labels: Labels
    regions: NDArray[np.int8]
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, images: Images, labels: Labels, landmarks: Sequence[NDArray[np.float64] | None]) -> Faces:
        """Divide each face around its landmarks (5, 2), or those of the mean face if it has none."""
        height, width = images.shape[2:]
        regions = np.stack([face_regions(height, width, points) for points in landmarks])
        return cls(
            images, labels, regions, tuple("mean face" if points is None else "landmarks" for points in landmarks)
        )


@dataclass(frozen=True)
class Method:
    """A method and how it is measured.

    Attributes:
        name: Its name in the results.
        layer: The layer, "" for the input image.
        explain: Returns maps (n, h, w) of the size of the images.
        randomize: Compares maps with those of a randomized network, see `compare_randomized`; None: not measured.
        use_stability: Whether to measure stability, which explains four shifted copies of each face.
    """

    name: str
    layer: str
    explain: Explain
    randomize: Callable[[Images, Labels], list[dict[str, Any]]] | None = None
    use_stability: bool = True


def make_method(
    explainer: Explainer, name: str, layer: str | None = None, *, use_stability: bool = True, use_sanity: bool = True
) -> Method:
    """Return a network's method, ready to be measured.

    It is called `name@layer` if a layer is given and the method uses one, otherwise `name`. The comparison with a
    randomized network requires a torch network.

    Raises:
        ModelError: There is no such method, or not for this network.
    """
    explainer.check_method(name)
    layer = layer if name in (*STAGE_METHODS, PARTS) else None

    def explain(own: Explainer, images: Images, labels: Labels) -> Maps:
        maps = own.explain(images, name, layer, labels.tolist())
        return np.stack([one.resized(*images.shape[2:]) for one in maps])

    def randomize(images: Images, labels: Labels) -> list[dict[str, Any]]:
        other = copy.deepcopy(explainer)
        return compare_randomized(other.network, functools.partial(explain, other), images, labels)

    return Method(
        f"{name}@{layer}" if layer else name,
        layer or (explainer.layers[-1] if name in STAGE_METHODS else ""),
        functools.partial(explain, explainer),
        randomize if use_sanity and explainer.network is not None else None,
        use_stability,
    )


def prepare_faces(explainer: Explainer, dataset: FaceDataset, detector: Detector | None) -> tuple[Faces, float]:
    """Return the faces of a data set, labelled by the network's predictions, and the network's accuracy on them.

    Args:
        explainer: The network.
        dataset: The faces.
        detector: Finds landmarks; None: the regions are those of the mean face.
    """
    landmarks = [None if detector is None else find_landmarks(face, detector) for face in dataset.images]
    images = to_batch(list(dataset.images), explainer.card.input)
    labels = np.asarray(explainer.predict(images).argmax(axis=1), dtype=np.int64)
    names = dataset.label_set.names
    right = [explainer.labels[label] == names[number] for label, number in zip(labels, dataset.labels, strict=True)]
    return Faces.of(images, labels, landmarks), float(np.mean(right))


def assess(
    predict: Predict,
    methods: Sequence[Method],
    faces: Faces,
    settings: CurveSettings,
    report: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Measure methods and two baselines, random maps and a Gaussian in the centre, on the same faces.

    Args:
        predict: The network.
        methods: At least one, of different names.
        faces: The faces.
        settings: The settings of the curves.
        report: Called with the name of each baseline and method when it is done.

    Returns:
        All measurements as JSON values; `drop_faces` leaves the means.

    Raises:
        DataError: A method's maps hold NaN, or are all constant.
    """
    n, _, height, width = faces.images.shape
    maps = {
        "random": np.stack([random_map(height, width, settings.seed + i) for i in range(n)]),
        "centre": np.broadcast_to(centre_gaussian(height, width), (n, height, width)),
    }
    baselines: dict[str, Curves] = {}
    for name, values in maps.items():
        baselines[name] = compute_curves(predict, faces.images, values, faces.labels, settings)
        report(name)
    measured = {}
    for method in methods:
        values = _checked_maps(method, faces)
        curves = compute_curves(predict, faces.images, values, faces.labels, settings)
        measured[method.name] = _measure(method, values, faces, settings.seed) | _summarize(
            curves, baselines, settings.seed
        )
        report(method.name)
    record: dict[str, Any] = _rounded(
        {
            "format": FORMAT,
            "n": n,
            "step": settings.step,
            "deletion_to": settings.deletion,
            "insertion_from": settings.insertion,
            "shares": baselines["random"].shares,
            "regions": {
                "from": Counter(faces.sources),
                "area": _by_region([area_shares(regions) for regions in faces.regions]),
            },
            "baselines": {name: _summarize(curves, {}, settings.seed) for name, curves in baselines.items()},
            "methods": measured,
        }
    )
    return record


def drop_faces(record: Record) -> dict[str, Any]:
    """Return measurements without the values of single faces."""
    return {
        name: drop_faces(value) if isinstance(value, Mapping) else value
        for name, value in record.items()
        if name != "areas"
    }


def add_to_record(path: Path, measured: Record) -> None:
    """Add measurements to a run's record.json, beside those of other methods on the same faces with the same settings.

    Args:
        path: The record.
        measured: JSON values with `dataset`, `split` and `methods`.

    Raises:
        MienError: The file is not a run record.
    """
    record = RunRecord.load(path)
    name = f"{measured['dataset']} {measured['split']}"
    earlier = record.explanations.get(name, {})
    settings = [{k: v for k, v in one.items() if k not in ("methods", "version")} for one in (earlier, measured)]
    kept = earlier["methods"] if settings[0] == settings[1] else {}
    record.explanations = {**record.explanations, name: {**measured, "methods": {**kept, **measured["methods"]}}}
    record.save(path)


def _checked_maps(method: Method, faces: Faces) -> Maps:
    maps = method.explain(faces.images, faces.labels)
    broken = int((~np.isfinite(maps)).any(axis=(1, 2)).sum())
    if broken:
        raise DataError(f"'{method.name}' returned NaN or infinity for {broken} of {len(maps)} faces.")
    if all(is_constant(values) for values in maps):
        raise DataError(
            f"The maps of '{method.name}' are constant on all {len(maps)} faces; choose another layer or method."
        )
    return maps


def _summarize(curves: Curves, baselines: Mapping[str, Curves], seed: int) -> dict[str, Any]:
    """Return the mean curves and areas, and the mean differences of the areas to those of baselines."""
    found: dict[str, Any] = {}
    for kind in ("deletion", "insertion"):
        areas = curves.areas(kind)
        found[kind] = {
            "area": areas.mean(),
            "interval": mean_interval(areas, seed),
            "curve": getattr(curves, kind).mean(axis=0),
        }
        for name, baseline in baselines.items():
            gain = areas - baseline.areas(kind)
            found[kind] |= {f"minus_{name}": gain.mean(), f"minus_{name}_interval": mean_interval(gain, seed)}
        found[kind]["areas"] = areas
    return found


def _measure(method: Method, maps: Maps, faces: Faces, seed: int) -> dict[str, Any]:
    """Return the measurements apart from the curves, which leave out constant maps."""
    varying = np.flatnonzero([not is_constant(values) for values in maps])
    shares = [attribution_shares(maps[row], faces.regions[row]) for row in varying if (maps[row] > 0).any()]
    measured: dict[str, Any] = {
        "layer": method.layer,
        "constant_maps": len(maps) - len(varying),
        "regions": _by_region(shares) if shares else None,
    }
    if method.use_stability:
        values = measure_stability(method.explain, faces.images[varying], maps[varying], faces.labels[varying])
        values = values[np.isfinite(values)]
        measured["stability"] = (
            {"correlation": values.mean(), "interval": mean_interval(values, seed)} if len(values) else None
        )
    if method.randomize is not None:
        rows = varying[:SANITY_FACES]
        measured["sanity"] = {"n": len(rows), "stops": method.randomize(faces.images[rows], faces.labels[rows])}
    return measured


def _by_region(shares: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    return dict(zip(REGIONS, np.mean(shares, axis=0).tolist(), strict=True))


def _rounded(value: Any) -> Any:
    """Return nested values as JSON values, with numbers rounded to six decimals."""
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [_rounded(one) for one in value]
    return round(float(value), 6) if isinstance(value, float) else value

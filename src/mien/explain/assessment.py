"""Puts a method's measures together: curves against two baselines, parts of the face, stability, sanity check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.explain.baselines import centre_gaussian, random_map
from mien.explain.faithfulness import Curves, CurveSettings, Images, Labels, Maps, Predict, mean_interval, walk_curves
from mien.explain.randomization import Sanity
from mien.explain.regions import REGIONS, Source, area_shares, attribution_shares, face_regions
from mien.explain.similarity import is_constant
from mien.explain.stability import Explain, measure_stability

FORMAT = "mien-faithfulness-1"
BASELINES = ("random", "centre")
# The sanity check makes five more maps of each of these faces.
SANITY_FACES = 32


@dataclass(frozen=True)
class Faces:
    """The faces that maps are measured on.

    Attributes:
        images: (n, c, h, w) float32, normalised.
        labels: (n,) int64, the class whose map is measured: the one the network predicts.
        regions: (n, h, w) int8, positions in `REGIONS`.
        sources: n words, where each face's regions come from.
    """

    images: Images
    labels: Labels
    regions: NDArray[np.int8]
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, images: Images, labels: Labels, landmarks: Sequence[NDArray[np.float64] | None]) -> Faces:
        """Divide each face around its landmarks (5, 2), or those of the mean face where it has None."""
        height, width = images.shape[2:]
        regions = np.stack([face_regions(height, width, points) for points in landmarks])
        sources: list[Source] = ["mean face" if points is None else "landmarks" for points in landmarks]
        return cls(images, labels, regions, tuple(sources))

    def first(self, count: int) -> Faces:
        """Return the first `count` faces."""
        return Faces(self.images[:count], self.labels[:count], self.regions[:count], self.sources[:count])


@dataclass(frozen=True)
class Method:
    """One way to make maps, and how it is measured.

    Attributes:
        name: As `mien explain` calls it.
        layer: The layer, "" for the picture itself.
        explain: Makes maps (n, h, w) as large as the images.
        check_sanity: Randomises the network and compares maps; None where there are only its answers (.onnx).
        use_stability: Whether to explain four shifted copies of every face too.
    """

    name: str
    layer: str
    explain: Explain
    check_sanity: Callable[[Images, Labels], tuple[Sanity, ...]] | None = None
    use_stability: bool = True


@dataclass(frozen=True)
class Assessment:
    """What was measured of all methods of one network on the same faces.

    Attributes:
        settings: How the curves were walked.
        faces: The faces.
        curves: By baseline and method.
        methods: The other measures by method, JSON-ready.
    """

    settings: CurveSettings
    faces: Faces
    curves: Mapping[str, Curves]
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self, *, use_faces: bool = True) -> dict[str, Any]:
        """Return all measures, JSON-ready; without `use_faces` only means, no figure a single face."""
        settings = asdict(self.settings)
        about = {"step": settings["step"], "deletion_to": settings["deletion"], "insertion_from": settings["insertion"]}
        areas = [area_shares(regions) for regions in self.faces.regions]
        return {
            "format": FORMAT,
            "n": len(self.faces.labels),
            **about,
            "shares": _rounded(next(iter(self.curves.values())).shares),
            "regions": {"from": dict(Counter(self.faces.sources)), "area": _by_region(np.mean(areas, axis=0))},
            "baselines": {name: self._summary(name, use_faces) for name in BASELINES},
            "methods": {name: {**more, **self._summary(name, use_faces)} for name, more in self.methods.items()},
        }

    def _summary(self, name: str, use_faces: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own, seed = self.curves[name], self.settings.seed
        for kind in ("deletion", "insertion"):
            curves, areas = getattr(own, kind), getattr(own, f"{kind}_areas")
            found[kind] = {
                "area": round(float(areas.mean()), 6),
                "interval": _rounded(mean_interval(areas, seed)),
                "curve": _rounded(curves.mean(axis=0)),
            }
            for baseline in BASELINES if name not in BASELINES else ():
                gain = areas - getattr(self.curves[baseline], f"{kind}_areas")
                found[kind][f"minus_{baseline}"] = round(float(gain.mean()), 6)
                found[kind][f"minus_{baseline}_interval"] = _rounded(mean_interval(gain, seed))
            if use_faces:
                found[kind]["areas"] = _rounded(areas)
        return found


def assess(
    predict: Predict,
    methods: Sequence[Method],
    faces: Faces,
    settings: CurveSettings,
    report: Callable[[str], None] = lambda name: None,
) -> Assessment:
    """Measure methods and baselines on the same faces.

    Args:
        predict: The network.
        methods: At least one, of different names.
        faces: The faces.
        settings: How to walk the curves.
        report: Told the name of each baseline and method when it is done.

    Raises:
        DataError: No method is given, or a method's maps hold NaN, or say the same of every pixel on every face.
    """
    if not methods:
        raise DataError("No method to measure was given; name one at least.")
    height, width = faces.images.shape[2:]
    n = len(faces.labels)
    baselines = {
        "random": np.stack([random_map(height, width, settings.seed + i) for i in range(n)]),
        "centre": np.broadcast_to(centre_gaussian(height, width), (n, height, width)),
    }
    curves, measures = {}, {}
    for name, maps in baselines.items():
        curves[name] = walk_curves(predict, faces.images, maps, faces.labels, settings)
        report(name)
    for method in methods:
        maps = checked_maps(method, faces)
        curves[method.name] = walk_curves(predict, faces.images, maps, faces.labels, settings)
        measures[method.name] = _measure(method, maps, faces, settings.seed)
        report(method.name)
    return Assessment(settings, faces, curves, measures)


def checked_maps(method: Method, faces: Faces) -> Maps:
    """Return a method's maps (n, h, w).

    Raises:
        DataError: They hold NaN or infinity, or every one of them says the same of all its pixels.
    """
    maps = method.explain(faces.images, faces.labels)
    broken = int((~np.isfinite(maps)).any(axis=(1, 2)).sum())
    if broken:
        raise DataError(f"'{method.name}' gave NaN or infinity on {broken} of {len(maps)} faces; no map can be scored.")
    if all(is_constant(values) for values in maps):
        raise DataError(
            f"'{method.name}' says the same of every pixel on all {len(maps)} faces, so there is nothing to measure; "
            "choose another layer or method."
        )
    return maps


def _measure(method: Method, maps: Maps, faces: Faces, seed: int) -> dict[str, Any]:
    """Return what is measured besides the curves, JSON-ready. Maps that are constant count there as a random order."""
    constant = np.array([is_constant(values) for values in maps])
    told = np.flatnonzero(~constant)
    shares = [
        attribution_shares(values, regions)
        for values, regions in zip(maps[told], faces.regions[told], strict=True)
        if (values > 0).any()
    ]
    found: dict[str, Any] = {
        "layer": method.layer,
        "constant_maps": int(constant.sum()),
        "regions": _by_region(np.mean(shares, axis=0)) if shares else None,
    }
    if method.use_stability:
        values = measure_stability(method.explain, faces.images[told], maps[told], faces.labels[told])
        values = values[np.isfinite(values)]
        found["stability"] = (
            {"correlation": round(float(values.mean()), 6), "interval": _rounded(mean_interval(values, seed))}
            if len(values)
            else None
        )
    if method.check_sanity is not None:
        rows = told[:SANITY_FACES]
        stops = method.check_sanity(faces.images[rows], faces.labels[rows])
        found["sanity"] = {"n": len(rows), "stops": [_rounded_values(asdict(stop)) for stop in stops]}
    return found


def _by_region(shares: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(share), 6) for name, share in zip(REGIONS, shares, strict=True)}


def _rounded(values: Sequence[float] | NDArray[np.float64]) -> list[float]:
    return [round(float(value), 6) for value in values]


def _rounded_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in fields.items()}

"""Assess methods: curves against two baselines, face regions, stability and sanity check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.explain.faithfulness import (
    Curves,
    CurveSettings,
    Images,
    Labels,
    Maps,
    Predict,
    centre_gaussian,
    compute_curves,
    mean_interval,
    random_map,
)
from mien.explain.randomization import Sanity
from mien.explain.regions import REGIONS, Source, area_shares, attribution_shares, face_regions
from mien.explain.similarity import is_constant
from mien.explain.stability import Explain, measure_stability

FORMAT = "mien-faithfulness-1"
BASELINES = ("random", "centre")
# Faces of the sanity check, which computes five more maps of each.
SANITY_FACES = 32


@dataclass(frozen=True)
class Faces:
    """Faces to measure maps on.

    Attributes:
        images: (n, c, h, w) float32, normalised.
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
        sources: list[Source] = ["mean face" if points is None else "landmarks" for points in landmarks]
        return cls(images, labels, regions, tuple(sources))


@dataclass(frozen=True)
class Method:
    """A method and how it is measured.

    Attributes:
        name: Its name in the results.
        layer: The layer, "" for the input image.
        explain: Returns maps (n, h, w) of the size of the images.
        check_sanity: Randomises the network and compares maps; None without a torch network.
        use_stability: Whether to measure stability, which explains four shifted copies of each face.
    """

    name: str
    layer: str
    explain: Explain
    check_sanity: Callable[[Images, Labels], tuple[Sanity, ...]] | None = None
    use_stability: bool = True


@dataclass(frozen=True)
class Assessment:
    """The measurements of all methods of one network on the same faces.

    Attributes:
        settings: The settings of the curves.
        faces: The faces.
        curves: By baseline and method.
        methods: The other measurements by method.
    """

    settings: CurveSettings
    faces: Faces
    curves: Mapping[str, Curves]
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self, *, use_faces: bool = True) -> dict[str, Any]:
        """Return all measurements as JSON values; without `use_faces` only means, no value of a single face."""
        areas = np.mean([area_shares(regions) for regions in self.faces.regions], axis=0)
        content: dict[str, Any] = _rounded(
            {
                "format": FORMAT,
                "n": len(self.faces.labels),
                "step": self.settings.step,
                "deletion_to": self.settings.deletion,
                "insertion_from": self.settings.insertion,
                "shares": next(iter(self.curves.values())).shares,
                "regions": {"from": Counter(self.faces.sources), "area": _by_region(areas)},
                "baselines": {name: self._summary(name, use_faces) for name in BASELINES},
                "methods": {name: {**more, **self._summary(name, use_faces)} for name, more in self.methods.items()},
            }
        )
        return content

    def _summary(self, name: str, use_faces: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own, seed = self.curves[name], self.settings.seed
        for kind in ("deletion", "insertion"):
            curves, areas = getattr(own, kind), getattr(own, f"{kind}_areas")
            found[kind] = {
                "area": areas.mean(),
                "interval": mean_interval(areas, seed),
                "curve": curves.mean(axis=0),
            }
            for baseline in BASELINES if name not in BASELINES else ():
                gain = areas - getattr(self.curves[baseline], f"{kind}_areas")
                found[kind][f"minus_{baseline}"] = gain.mean()
                found[kind][f"minus_{baseline}_interval"] = mean_interval(gain, seed)
            if use_faces:
                found[kind]["areas"] = areas
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
        settings: The settings of the curves.
        report: Called with the name of each baseline and method when it is done.

    Raises:
        DataError: No method is given, or a method's maps hold NaN, or are all constant.
    """
    if not methods:
        raise DataError("No method to measure is given; expected at least one.")
    height, width = faces.images.shape[2:]
    n = len(faces.labels)
    baselines = {
        "random": np.stack([random_map(height, width, settings.seed + i) for i in range(n)]),
        "centre": np.broadcast_to(centre_gaussian(height, width), (n, height, width)),
    }
    curves, measures = {}, {}
    for name, maps in baselines.items():
        curves[name] = compute_curves(predict, faces.images, maps, faces.labels, settings)
        report(name)
    for method in methods:
        maps = checked_maps(method, faces)
        curves[method.name] = compute_curves(predict, faces.images, maps, faces.labels, settings)
        measures[method.name] = _measure(method, maps, faces, settings.seed)
        report(method.name)
    return Assessment(settings, faces, curves, measures)


def checked_maps(method: Method, faces: Faces) -> Maps:
    """Return a method's maps (n, h, w).

    Raises:
        DataError: They hold NaN or infinity, or all of them are constant.
    """
    maps = method.explain(faces.images, faces.labels)
    broken = int((~np.isfinite(maps)).any(axis=(1, 2)).sum())
    if broken:
        raise DataError(f"'{method.name}' returned NaN or infinity for {broken} of {len(maps)} faces.")
    if all(is_constant(values) for values in maps):
        raise DataError(
            f"The maps of '{method.name}' are constant on all {len(maps)} faces; choose another layer or method."
        )
    return maps


def _measure(method: Method, maps: Maps, faces: Faces, seed: int) -> dict[str, Any]:
    """Return the measurements besides the curves; constant maps are left out of them."""
    constant = np.array([is_constant(values) for values in maps])
    varying = np.flatnonzero(~constant)
    shares = [
        attribution_shares(values, regions)
        for values, regions in zip(maps[varying], faces.regions[varying], strict=True)
        if (values > 0).any()
    ]
    measured: dict[str, Any] = {
        "layer": method.layer,
        "constant_maps": int(constant.sum()),
        "regions": _by_region(np.mean(shares, axis=0)) if shares else None,
    }
    if method.use_stability:
        values = measure_stability(method.explain, faces.images[varying], maps[varying], faces.labels[varying])
        values = values[np.isfinite(values)]
        measured["stability"] = (
            {"correlation": values.mean(), "interval": mean_interval(values, seed)} if len(values) else None
        )
    if method.check_sanity is not None:
        rows = varying[:SANITY_FACES]
        stops = method.check_sanity(faces.images[rows], faces.labels[rows])
        measured["sanity"] = {"n": len(rows), "stops": [asdict(stop) for stop in stops]}
    return measured


def _by_region(shares: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(REGIONS, shares.tolist(), strict=True))


def _rounded(value: Any) -> Any:
    """Return nested values as JSON values, with numbers rounded to six decimals."""
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [_rounded(one) for one in value]
    return round(float(value), 6) if isinstance(value, float) else value

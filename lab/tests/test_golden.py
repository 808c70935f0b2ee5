"""The contract with mien-web is what this package finds: `browser/tests/` reads the same files."""

import json
from functools import cache

import numpy as np
import pytest

from lab import golden
from mien.core.decoding import read_image

ADVICE = "a change that is meant: python -m lab.golden, then make browser-test"


@cache
def made():
    return golden.make_golden()


@cache
def committed():
    return json.loads((golden.FOLDER / "golden.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", list(made()[1]))
def test_images_levels_and_crops_are_those_of_the_contract(name):
    image = made()[1][name]
    read = read_image(golden.FOLDER / f"{name}.png")
    np.testing.assert_array_equal(read if image.ndim == 3 else read[..., 0], image, err_msg=ADVICE)


@pytest.mark.parametrize("part", list(made()[0]))
def test_results_are_those_of_the_contract(part):
    compare(made()[0][part], committed()[part], part)


def compare(ours, theirs, where):
    """Compare JSON values; numbers may differ by what other processors add up to."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            compare(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), where
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            compare(one, other, f"{where}[{index}]")
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, abs=0.005, rel=0.002), f"{where}: {ADVICE}"
    else:
        assert ours == theirs, f"{where}: {ADVICE}"

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mien.inference.video.assignment import assign


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (2, 5), (5, 2), (4, 5), (5, 5)])
def test_the_total_cost_is_minimal(rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * 10 + columns)
    for _ in range(20):
        costs = rng.normal(0, 5, (rows, columns)).round(1)  # with ties, and below 0
        pairs = assign(costs)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(rows, columns)
        assert pairs == sorted(pairs)
        wide = costs if rows <= columns else costs.T
        orders = itertools.permutations(range(wide.shape[1]), wide.shape[0])
        best = min(sum(wide[i, column] for i, column in enumerate(order)) for order in orders)
        assert sum(costs[pair] for pair in pairs) == pytest.approx(best)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_an_empty_matrix_has_no_pairs(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape)) == []

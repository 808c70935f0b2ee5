"""The linear assignment problem: match rows with columns of a cost matrix at the lowest total cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Solve the assignment problem by shortest augmenting paths (Kuhn 1955; Jonker and Volgenant 1987).

    Args:
        costs: (n, m), finite, of any sign.

    Returns:
        min(n, m) pairs (row, column), sorted by row. Each row and each column occurs at most once.

    Examples:
        >>> assign(np.array([[1.0, 2.0], [0.0, 3.0]]))
        [(0, 1), (1, 0)]
    """
    if costs.shape[0] > costs.shape[1]:
        return sorted((row, column) for column, row in assign(costs.T))
    rows, columns = costs.shape
    # Row 0 and column 0 are the start of each path. Potentials keep every reduced cost at or above 0.
    of_row, of_column = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.zeros(columns + 1, dtype=np.intp)
    for row in range(1, rows + 1):
        row_of[0], column = row, 0
        distance, previous = np.full(columns + 1, np.inf), np.zeros(columns + 1, dtype=np.intp)
        is_done = np.zeros(columns + 1, dtype=np.bool_)
        while row_of[column]:
            is_done[column], here = True, row_of[column]
            reduced = np.append(np.inf, costs[here - 1] - of_row[here] - of_column[1:])
            is_shorter = ~is_done & (reduced < distance)
            distance[is_shorter], previous[is_shorter] = reduced[is_shorter], column
            column = int(np.argmin(np.where(is_done, np.inf, distance)))
            step = distance[column]
            of_row[row_of[is_done]] += step
            of_column[is_done] -= step
            distance[~is_done] -= step
        while column:
            row_of[column] = row_of[previous[column]]
            column = int(previous[column])
    return sorted((int(row_of[column]) - 1, column - 1) for column in range(1, columns + 1) if row_of[column])

// The linear assignment problem: match rows with columns of a cost matrix at the lowest total cost.

/**
 * Solve it by shortest augmenting paths (Kuhn 1955; Jonker and Volgenant 1987). `costs` are finite, of any sign; the
 * result has min(rows, columns) pairs, sorted by row.
 */
export function assign(costs: number[][]): [number, number][] {
  const [rows, columns] = [costs.length, costs[0]?.length ?? 0];
  if (rows === 0 || columns === 0) return [];
  if (rows > columns) {
    const turned = costs[0].map((_, column) => costs.map((row) => row[column]));
    return byRow(assign(turned).map(([column, row]) => [row, column]));
  }
  // row 0 and column 0 are the start of each path; potentials keep every reduced cost at or above 0
  const [ofRow, ofColumn] = [new Float64Array(rows + 1), new Float64Array(columns + 1)];
  const rowOf = new Int32Array(columns + 1);
  for (let row = 1; row <= rows; row += 1) addRow(row, costs, ofRow, ofColumn, rowOf);
  const pairs: [number, number][] = [];
  for (let column = 1; column <= columns; column += 1) if (rowOf[column]) pairs.push([rowOf[column] - 1, column - 1]);
  return byRow(pairs);
}

function addRow(row: number, costs: number[][], ofRow: Float64Array, ofColumn: Float64Array, rowOf: Int32Array): void {
  const count = rowOf.length;
  const [distance, previous] = [new Float64Array(count).fill(Infinity), new Int32Array(count)];
  const isDone = new Uint8Array(count);
  rowOf[0] = row;
  let column = 0;
  while (rowOf[column]) {
    isDone[column] = 1;
    const here = rowOf[column];
    let next = -1;
    for (let other = 1; other < count; other += 1) {
      if (isDone[other]) continue;
      const reduced = costs[here - 1][other - 1] - ofRow[here] - ofColumn[other];
      if (reduced < distance[other]) [distance[other], previous[other]] = [reduced, column];
      if (next === -1 || distance[other] < distance[next]) next = other;
    }
    const step = distance[next];
    for (let other = 0; other < count; other += 1) {
      if (isDone[other]) {
        ofRow[rowOf[other]] += step;
        ofColumn[other] -= step;
      } else distance[other] -= step;
    }
    column = next;
  }
  while (column) {
    rowOf[column] = rowOf[previous[column]];
    column = previous[column];
  }
}

function byRow(pairs: [number, number][]): [number, number][] {
  return pairs.sort((a, b) => a[0] - b[0]);
}

// Images as bytes, and their resampling. It agrees with OpenCV's, which the Python package uses.

/** An image (height, width, channels) of bytes, row by row: 1 grey, 3 RGB, 4 RGBA (alpha is ignored). */
export interface Plane {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  channels: 1 | 3 | 4;
}

export function newPlane(width: number, height: number, channels: 1 | 3): Plane {
  return { data: new Uint8Array(width * height * channels), width, height, channels };
}

/** Luma as in ITU-R BT.601, rounded; a grey image is returned unchanged. */
export function toGrey(image: Plane): Plane {
  if (image.channels === 1) return image;
  const { data, channels } = image;
  const grey = newPlane(image.width, image.height, 1);
  for (let at = 0, from = 0; at < grey.data.length; at += 1, from += channels) {
    grey.data[at] = (9798 * data[from] + 19235 * data[from + 1] + 3735 * data[from + 2] + 16384) >> 15;
  }
  return grey;
}

/** A grey image three times. */
export function toRgb(grey: Plane): Plane {
  const image = newPlane(grey.width, grey.height, 3);
  for (let at = 0; at < grey.data.length; at += 1) image.data.fill(grey.data[at], 3 * at, 3 * at + 3);
  return image;
}

/** For each output position, the first input it covers, how many it covers, and their shares, one after the other. */
interface Coverage {
  first: Int32Array;
  count: Int32Array;
  shares: Float32Array;
}

function coverage(length: number, count: number, scale: number): Coverage {
  const result = { first: new Int32Array(count), count: new Int32Array(count) };
  const shares: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const start = i * scale;
    const end = start + scale;
    const cell = Math.min(scale, length - start);
    const after = Math.min(Math.floor(end), length - 1);
    const whole = Math.min(Math.ceil(start), after);
    const before = shares.length;
    result.first[i] = whole - start > 1e-3 ? whole - 1 : whole;
    if (whole - start > 1e-3) shares.push((whole - start) / cell);
    for (let at = whole; at < after; at += 1) shares.push(1 / cell);
    if (end - after > 1e-3) shares.push(Math.min(end - after, 1, cell) / cell);
    result.count[i] = shares.length - before;
  }
  return { ...result, shares: Float32Array.from(shares) };
}

/**
 * Reduce by the mean over pixel areas. `scales`: pixels of the image per pixel of the result, across and down. Sums are
 * rounded to 32 bits at each step, as OpenCV's are, so that results are the same to the bit.
 */
export function reduce(image: Plane, width: number, height: number, scales?: [number, number]): Plane {
  const [across, down] = scales ?? [image.width / width, image.height / height];
  if (Number.isInteger(across) && Number.isInteger(down)) return reduceEvenly(image, width, height, across, down);
  const [columns, rows] = [coverage(image.width, width, across), coverage(image.height, height, down)];
  const kept = image.channels === 1 ? 1 : 3;
  const result = newPlane(width, height, kept);
  const [line, sums] = [new Float32Array(width * kept), new Float32Array(width * kept)];
  for (let y = 0, share = 0, last = -1; y < height; y += 1) {
    sums.fill(0);
    for (let step = 0; step < rows.count[y]; step += 1, share += 1) {
      const row = rows.first[y] + step;
      if (row !== last) reduceRow(image, row, columns, line, kept);
      last = row;
      const weight = rows.shares[share];
      for (let i = 0; i < sums.length; i += 1) sums[i] += Math.fround(weight * line[i]);
    }
    for (let i = 0, at = y * width * kept; i < sums.length; i += 1, at += 1) result.data[at] = rounded(sums[i]);
  }
  return result;
}

function reduceRow(
  { data, width, channels }: Plane,
  row: number,
  { count, first, shares }: Coverage,
  line: Float32Array,
  kept: number,
): void {
  const start = row * width * channels;
  for (let channel = 0; channel < kept; channel += 1) {
    for (let x = 0, share = 0, to = channel; x < count.length; x += 1, to += kept) {
      let sum = 0;
      for (let at = start + first[x] * channels + channel, end = share + count[x]; share < end; share += 1, at += channels) {
        sum = Math.fround(sum + Math.fround(shares[share] * data[at]));
      }
      line[to] = sum;
    }
  }
}

/** Reduce by whole numbers: the sums are whole too. */
function reduceEvenly({ data, width: stride, channels }: Plane, width: number, height: number, across: number, down: number): Plane {
  const kept = channels === 1 ? 1 : 3;
  const result = newPlane(width, height, kept);
  const share = Math.fround(1 / (across * down));
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let channel = 0; channel < kept; channel += 1, at += 1) {
        let sum = 0;
        for (let row = y * down; row < (y + 1) * down; row += 1) {
          for (let from = (row * stride + x * across) * channels + channel, step = 0; step < across; step += 1, from += channels)
            sum += data[from];
        }
        result.data[at] = across === 2 && down === 2 ? (sum + 2) >> 2 : rounded(Math.fround(sum * share));
      }
    }
  }
  return result;
}

/** Reduce a grey image to half; an odd last row or column is repeated. */
export function halve(grey: Plane): Plane {
  const { data, width, height } = grey;
  const result = newPlane((width + 1) >> 1, (height + 1) >> 1, 1);
  for (let y = 0, at = 0; y < result.height; y += 1) {
    const upper = 2 * y * width;
    const lower = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < result.width; x += 1, at += 1) {
      const [left, right] = [2 * x, Math.min(2 * x + 1, width - 1)];
      result.data[at] = (data[upper + left] + data[upper + right] + data[lower + left] + data[lower + right] + 2) >> 2;
    }
  }
  return result;
}

/** For each output position, the two inputs around it and their shares, in 2048ths. */
interface Neighbours {
  near: Int32Array;
  far: Int32Array;
  first: Int32Array;
  second: Int32Array;
}

function neighbours(length: number, count: number, scale: number, isClipped: boolean): Neighbours {
  const [near, far, first, second] = [0, 1, 2, 3].map(() => new Int32Array(count));
  for (let i = 0; i < count; i += 1) {
    const place = Math.fround((i + 0.5) * scale - 0.5);
    const floor = Math.floor(place);
    const share = isClipped && (floor < 0 || floor >= length - 1) ? 0 : Math.fround(place - floor);
    [near[i], far[i]] = [floor, floor + 1].map((at) => Math.min(Math.max(at, 0), length - 1));
    [first[i], second[i]] = [rounded(Math.fround(1 - share) * 2048), rounded(share * 2048)];
  }
  return { near, far, first, second };
}

/** Enlarge bilinearly, with OpenCV's fixed-point numbers; `scales` as in `reduce`. */
export function enlarge(image: Plane, width: number, height: number, scales?: [number, number]): Plane {
  const [across, down] = scales ?? [image.width / width, image.height / height];
  const columns = neighbours(image.width, width, across, true);
  const rows = neighbours(image.height, height, down, false);
  const kept = image.channels === 1 ? 1 : 3;
  const lines = Array.from({ length: image.height }, (_, row) => enlargeRow(image, row, columns, kept));
  const result = newPlane(width, height, kept);
  for (let y = 0, at = 0; y < height; y += 1) {
    const [upper, lower, a, b] = [lines[rows.near[y]], lines[rows.far[y]], rows.first[y], rows.second[y]];
    for (let x = 0; x < upper.length; x += 1, at += 1) {
      result.data[at] = (((a * (upper[x] >> 4)) >> 16) + ((b * (lower[x] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return result;
}

function enlargeRow({ data, width, channels }: Plane, row: number, { near, far, first, second }: Neighbours, kept: number): Int32Array {
  const line = new Int32Array(near.length * kept);
  const start = row * width * channels;
  for (let x = 0, to = 0; x < near.length; x += 1) {
    const [left, right] = [start + near[x] * channels, start + far[x] * channels];
    for (let channel = 0; channel < kept; channel += 1, to += 1)
      line[to] = first[x] * data[left + channel] + second[x] * data[right + channel];
  }
  return line;
}

/** A value rounded as numpy and OpenCV do: halves go to the even neighbour. */
export function rounded(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest === 0.5) return floor + (floor % 2 === 0 ? 0 : 1);
  return rest > 0.5 ? floor + 1 : floor;
}

// Boxes and detected faces.

/** A box in pixels of the upright image: left, top, width, height. It may reach beyond the border. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A detected face; `roll`: by how many degrees the head is turned, clockwise as seen. */
export interface Detection {
  box: Box;
  score: number;
  roll: number;
}

export type Point = [number, number];

export function centreOf({ x, y, width, height }: Box): Point {
  return [x + width / 2, y + height / 2];
}

/** Whether the centre of a box lies in an image. */
export function isInside(box: Box, image: { width: number; height: number }): boolean {
  const [x, y] = centreOf(box);
  return x >= 0 && x < image.width && y >= 0 && y < image.height;
}

/** Whether two boxes share a point. */
export function touch(a: Box, b: Box): boolean {
  const [[ax, ay], [bx, by]] = [centreOf(a), centreOf(b)];
  return Math.abs(ax - bx) <= (a.width + b.width) / 2 && Math.abs(ay - by) <= (a.height + b.height) / 2;
}

/** The best-scored of boxes that share more than `overlap` of the smaller one's area, best first. */
export function withoutDuplicates(detections: Detection[], overlap = 0.7): Detection[] {
  const kept: Detection[] = [];
  for (const one of [...detections].sort((a, b) => b.score - a.score)) {
    const isNew = kept.every(({ box }) => {
      const across = Math.min(one.box.x + one.box.width, box.x + box.width) - Math.max(one.box.x, box.x);
      const down = Math.min(one.box.y + one.box.height, box.y + box.height) - Math.max(one.box.y, box.y);
      const smaller = Math.min(one.box.width * one.box.height, box.width * box.height);
      return Math.max(across, 0) * Math.max(down, 0) <= overlap * smaller;
    });
    if (isNew) kept.push(one);
  }
  return kept;
}

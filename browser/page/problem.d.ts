// src/mien/apps/web/static/problem.js
export class Problem extends Error {
  constructor(status: number, detail: string, retryAfter?: number | null);
  status: number;
  retryAfter: number | null;
}

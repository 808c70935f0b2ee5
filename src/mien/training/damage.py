"""What can go wrong with a photograph of a face: too little light, blur, compression, something in front of it.

Images are (N, C, H, W) in [0, 1], severities tensors (N,) on the same device. Grain and fillings are drawn there too;
nothing waits for the device. These are for training: those that robustness is measured with are written separately,
with other parameters.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8
# How much larger the step of the highest frequency is than that of the lowest, in a compressed block.
STEEPNESS = 5.0
# A patch: ranges of its centre (x, y) and of half its sides, as shares of the side; the halves reach over the edges.
PATCHES = (
    *[((0.40, 0.60), (0.66, 0.88), (0.18, 0.45), (0.10, 0.28))] * 4,  # mouth
    *[((0.40, 0.60), (0.28, 0.46), (0.24, 0.50), (0.08, 0.20))] * 4,  # eyes
    ((-0.05, 0.05), (0.4, 0.6), (0.25, 0.55), (0.7, 1.0)),  # left half
    ((0.95, 1.05), (0.4, 0.6), (0.25, 0.55), (0.7, 1.0)),  # right half
    ((0.4, 0.6), (-0.05, 0.05), (0.7, 1.0), (0.25, 0.55)),  # upper half
    ((0.4, 0.6), (0.95, 1.05), (0.7, 1.0), (0.25, 0.55)),  # lower half
)


def take_light(images: Tensor, stops: Tensor, electrons: Tensor, regained: Tensor, gamma: Tensor) -> Tensor:
    """Take away light, and add the shot noise of a sensor (Poisson) and of its amplifier (two electrons).

    Args:
        images: Display values: light to the power of 1 / gamma.
        stops: Each halves the light.
        electrons: Of a white pixel in full light.
        regained: Share of the stops that amplification brings back, noise included, in [0, 1].
        gamma: Exponent from a display value to light.
    """
    stops, electrons, regained, gamma = (_per_image(values) for values in (stops, electrons, regained, gamma))
    counts = torch.poisson(images.pow(gamma) * electrons * 2**-stops)
    counts = counts + 2 * torch.randn_like(images)
    light = (counts / electrons * 2 ** (stops * regained)).clamp(0, 1)
    return light.pow(1 / gamma)


def add_light(images: Tensor, stops: Tensor, gamma: Tensor) -> Tensor:
    """Double the light with every stop; what exceeds white is lost."""
    return (images * 2 ** _per_image(stops / gamma)).clamp(0, 1)


def add_noise(images: Tensor, deviation: Tensor, is_coarse: Tensor) -> Tensor:
    """Add Gaussian noise of this deviation: a number for each pixel, or spots of two pixels where `is_coarse` (N,)."""
    fine = torch.randn_like(images)
    spots = F.interpolate(torch.randn_like(images[:, :, ::2, ::2]), images.shape[2:], mode="bilinear")
    spots = spots / spots.std((2, 3), keepdim=True, correction=0).clamp_min(1e-3)
    return (images + _per_image(deviation) * torch.where(_per_image(is_coarse), spots, fine)).clamp(0, 1)


def blur(images: Tensor, deviation: Tensor) -> Tensor:
    """Blur by a Gaussian, its standard deviation in pixels; 0 changes nothing."""
    rows, columns = (_gaussian(size, deviation) for size in images.shape[2:])
    return rows @ images @ columns.mT


def blur_by_motion(images: Tensor, length: Tensor, angle: Tensor, steps: int) -> Tensor:
    """Average copies that are shifted along a line.

    Args:
        images: Their edges are repeated outside.
        length: Of the line, in pixels.
        angle: Of the line, in radians.
        steps: Number of copies, at least 2.
    """
    height, width = images.shape[2:]
    still = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
    grid = F.affine_grid(still, list(images.shape), align_corners=False)
    way = torch.stack([length * angle.cos() / width, length * angle.sin() / height], 1)[:, None, None]
    total = torch.zeros_like(images)
    for place in torch.linspace(-1, 1, steps).tolist():
        total += F.grid_sample(images, grid + place * way, padding_mode="border", align_corners=False)
    return total / steps


def shrink(images: Tensor, factor: Tensor, smallest: int) -> Tensor:
    """Shrink square images to `1 / factor` of their side, at least to `smallest` pixels, and enlarge them again."""
    size = images.shape[-1]
    sides = (size / factor).round().long().clamp(smallest, size)
    through = _through_fewer_pixels(size, smallest, images.device)[sides - smallest][:, None]
    return (through @ images @ through.mT).clamp(0, 1)


def compress(images: Tensor, step: Tensor) -> Tensor:
    """Round the cosine transform of 8 x 8 blocks to multiples of a step, as JPEG does; the blocks start anywhere.

    Args:
        images: Of any size; the edges are repeated up to whole blocks.
        step: Of the lowest frequency, in an orthonormal transform; that of the highest is six times as large.
    """
    height, width = images.shape[2:]
    left, top = torch.randint(BLOCK, (2,)).tolist()
    margins = (left, -(width + left) % BLOCK, top, -(height + top) % BLOCK)
    padded = F.pad(images - 0.5, margins, mode="replicate")
    n, channels, tall, wide = padded.shape
    blocks = padded.view(n, channels, tall // BLOCK, BLOCK, wide // BLOCK, BLOCK).transpose(3, 4)
    waves, growth = _cosines(images.device)
    steps = (step.clamp_min(1e-4)[:, None, None] * growth)[:, None, None, None]
    values = (waves @ blocks @ waves.mT / steps).round() * steps
    whole = (waves.mT @ values @ waves).transpose(3, 4).reshape(padded.shape)
    return (whole[:, :, top : top + height, left : left + width] + 0.5).clamp(0, 1)


def cover(images: Tensor, ranges: Tensor) -> Tensor:
    """Put a patch over the mouth, the eyes or half of each face: a rounded rectangle of one shade with a soft texture.

    `ranges` (P, 4, 2) is `PATCHES` as a tensor; each image draws one of its rows.
    """
    n, channels, height, width = images.shape
    device = images.device
    low, high = ranges[torch.randint(len(ranges), (n,), device=device)].unbind(2)
    x, y, wide, tall = (values[:, None, None, None] for values in torch.lerp(low, high, _uniform(low)).unbind(1))
    across = (torch.arange(width, device=device) + 0.5) / width
    down = ((torch.arange(height, device=device) + 0.5) / height)[:, None]
    roundness = 2 + 6 * _uniform(x)
    distance = ((across - x) / wide).abs() ** roundness + ((down - y) / tall).abs() ** roundness
    opacity = torch.sigmoid(20 * (1 - distance))
    shade = torch.where(_uniform(x) < 0.5, _uniform(images[:, :, :1, :1]), images.mean((2, 3), keepdim=True))
    texture = F.interpolate(torch.randn(n, channels, 6, 6, device=device), (height, width), mode="bilinear")
    filling = (shade + 0.15 * _uniform(x) * texture).clamp(0, 1)
    return images.lerp(filling, opacity)


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _uniform(like: Tensor) -> Tensor:
    return torch.rand_like(like)


def _gaussian(size: int, deviation: Tensor) -> Tensor:
    """Return (N, 1, size, size): row i has the weights of all pixels for pixel i, which sum to 1."""
    place = torch.arange(size, device=deviation.device, dtype=deviation.dtype)
    distance = (place[:, None] - place) / deviation.clamp_min(0.05)[:, None, None]
    return (-(distance**2) / 2).softmax(2)[:, None]


@cache
def _through_fewer_pixels(size: int, smallest: int, device: torch.device) -> Tensor:
    """Return (size - smallest + 1, size, size): a row of pixels, shrunk to each number of pixels and enlarged again."""
    same = torch.eye(size)[None, None]
    ways = [F.interpolate(same, (side, size), mode="bilinear", antialias=True) for side in range(smallest, size + 1)]
    modes = ("bilinear", "bicubic")  # in turns
    back = [F.interpolate(way, (size, size), mode=modes[i % 2]) for i, way in enumerate(ways)]
    return torch.cat(back)[:, 0].to(device)


@cache
def _cosines(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the orthonormal cosine transform of 8 values (8, 8), and the growth of the steps with frequency (8, 8)."""
    number = torch.arange(BLOCK)
    waves = torch.cos((2 * number + 1) * number[:, None] * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    waves[0] = math.sqrt(1 / BLOCK)
    growth = 1 + STEEPNESS * (number[:, None] + number) / (2 * BLOCK - 2)
    return waves.to(device), growth.to(device)

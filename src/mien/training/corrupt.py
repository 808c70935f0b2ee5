"""Corruption training: some faces of a batch get worse light, blur, compression or something in front of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mien.recipes.corruption import CorruptionSettings
from mien.recipes.schema import AugmentationSettings
from mien.training import damage
from mien.training.augment import move

Change = Callable[[Tensor], Tensor]
# From a display value to light: displays differ.
GAMMAS = (1.8, 2.4)
# A sensor's white in electrons, as a multiple of the smallest.
BEST_SENSOR = 32.0
# The largest step of a compressed block as a multiple of the smallest.
STEP_RANGE = 30.0


class Corruption(nn.Module):
    """Corrupts faces as a recipe says; see `CorruptionSettings`.

    In a batch of n, a corruption of probability p hits n p faces, rounded up or down at random. The order is that in
    which an image comes about: pose, obstacle, lens, light, sensor, file.

    Args:
        settings: Probabilities and limits.
        channels: Of the images before grey ones are repeated for a network with three channels.
    """

    patches: Tensor

    def __init__(self, settings: CorruptionSettings, channels: int) -> None:
        super().__init__()
        self.settings, self.channels = settings, channels
        self.register_buffer("patches", torch.tensor(damage.PATCHES), persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return corrupted images, (N, C, H, W) in [0, 1] -> the same; without corruptions, the images themselves."""
        changes = [(probability, change) for probability, change in self._changes() if probability]
        if not changes:
            return images
        result = images[:, : self.channels].clone()
        with torch.autocast(images.device.type, enabled=False):
            for probability, change in changes:
                count = int(probability * len(result) + float(torch.rand(())))
                if count:
                    rows = torch.randperm(len(result), device=result.device)[:count]
                    result[rows] = change(result[rows])
        return result.expand_as(images)

    def _changes(self) -> tuple[tuple[float, Change], ...]:
        s = self.settings
        return (
            (s.crop, self._crop),
            (s.rotation, self._rotate),
            (s.cover, self._cover),
            (s.motion_blur, self._blur_by_motion),
            (s.blur, self._blur),
            (s.low_light, self._take_light),
            (s.over_exposure, self._add_light),
            (s.noise, self._add_noise),
            (s.down_scaling, self._shrink),
            (s.jpeg, self._compress),
        )

    def _crop(self, images: Tensor) -> Tensor:
        s = self.settings
        return move(images, AugmentationSettings(flip=0, scale=s.crop_scale, translate=s.crop_shift))

    def _rotate(self, images: Tensor) -> Tensor:
        return move(images, AugmentationSettings(flip=0, rotation=self.settings.rotation_degrees))

    def _cover(self, images: Tensor) -> Tensor:
        return damage.cover(images, self.patches)

    def _blur(self, images: Tensor) -> Tensor:
        return damage.blur(images, _draw(images, 0, self.settings.blur_deviation * images.shape[-1]))

    def _blur_by_motion(self, images: Tensor) -> Tensor:
        longest = self.settings.motion_blur_length * images.shape[-1]
        steps = 2 + math.ceil(longest / 1.5)
        return damage.blur_by_motion(images, _draw(images, 0, longest), _draw(images, 0, math.pi), steps)

    def _take_light(self, images: Tensor) -> Tensor:
        s = self.settings
        electrons = s.low_light_electrons * _draw(images, 0, math.log(BEST_SENSOR)).exp()
        stops, regained = _draw(images, 0, s.low_light_stops), _draw(images, 0, 1)
        return damage.take_light(images, stops, electrons, regained, _draw(images, *GAMMAS))

    def _add_light(self, images: Tensor) -> Tensor:
        return damage.add_light(images, _draw(images, 0, self.settings.over_exposure_stops), _draw(images, *GAMMAS))

    def _add_noise(self, images: Tensor) -> Tensor:
        deviation = _draw(images, 0, self.settings.noise_deviation)
        return damage.add_noise(images, deviation, _draw(images, 0, 1) < 0.5)

    def _shrink(self, images: Tensor) -> Tensor:
        limit = self.settings.down_scaling_factor
        return damage.shrink(images, _draw(images, 1, limit), max(1, math.floor(images.shape[-1] / limit)))

    def _compress(self, images: Tensor) -> Tensor:
        step = self.settings.jpeg_step * _draw(images, -math.log(STEP_RANGE), 0).exp()
        return damage.compress(images, step)


def consistency(logits: Tensor) -> Tensor:
    r"""Return how far the probabilities of corrupted faces are from those of the clean ones, a scalar.

    .. math:: \frac{1}{N} \sum_i \mathrm{KL}(\mathrm{softmax}(z_i) \,\|\, \mathrm{softmax}(z_{N + i}))

    `logits` (2 N, K) has the clean faces first; no gradient passes through them.
    """
    clean, corrupted = (half.log_softmax(1) for half in logits.float().chunk(2))
    clean = clean.detach()
    return (clean.exp() * (clean - corrupted)).sum(1).mean()


def _draw(images: Tensor, low: float, high: float) -> Tensor:
    """Draw one number per image, (N,), uniform between two."""
    return torch.empty(len(images), device=images.device).uniform_(low, high)

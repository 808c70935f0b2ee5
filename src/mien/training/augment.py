"""Random changes to whole batches of training faces, and synthetic images that are not faces.

Every image has its own random numbers, drawn on the device of the batch, so nothing waits for the processor. The
operations of RandAugment are kornia's.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.recipes.schema import AugmentationSettings

# Weights of red, green and blue in the luma (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
# Of an erased patch: smallest share of the area, and largest ratio of its longer to its shorter side.
SMALLEST_PATCH, LONGEST_PATCH = 0.02, 3.3


class Augmentation(nn.Module):
    """Flip, affine change, RandAugment, brightness and contrast, noise, erased patch.

    Args:
        settings: How far an image may be changed.
        channels: Of the images; grey images skip what changes colour.
    """

    def __init__(self, settings: AugmentationSettings, channels: int) -> None:
        super().__init__()
        self.settings, self.has_colour = settings, channels == 3
        self.policy = _make_policy(settings, has_colour=self.has_colour) if settings.randaugment else None

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Change every image independently: (N, C, H, W) in [0, 1] -> (N, C, H, W) in [0, 1]."""
        s = self.settings
        if s.rotation or s.scale or s.translate:
            images = move(images, s)
        elif s.flip:
            images = torch.where(_chosen(images, s.flip), images.flip(3), images)
        if self.policy is not None:
            # kornia draws the operations of a whole batch at once: at most eight parts of at least eight images
            size = max(8, math.ceil(len(images) / 8))
            images = torch.cat([self.policy(part) for part in torch.split(images, size)])
        if s.brightness:
            images = (images + _between(images, -s.brightness, s.brightness)).clamp(0, 1)
        if s.contrast:
            middle = _brightness(images) if s.contrast_about == "mean" else 0.0
            images = (middle + (images - middle) * _between(images, 1 - s.contrast, 1 + s.contrast)).clamp(0, 1)
        if s.grayscale and self.has_colour:
            images = torch.where(_chosen(images, s.grayscale), without_colour(images), images)
        if s.noise:
            noise = torch.randn_like(images) * s.noise
            images = torch.where(_chosen(images, 0.5), images + noise, images)
        if s.erasing:
            images = torch.where(_patches(images, s), 0.5, images)
        return images.clamp(0, 1)


def move(images: Tensor, settings: AugmentationSettings) -> Tensor:
    """Mirror, rotate (clockwise), scale and shift every image (N, C, H, W) about its centre, in one interpolation.

    The edge is repeated outside. Angles, scales and shifts are uniform within their settings.
    """
    n, _, height, width = images.shape
    u = torch.rand(5, n, device=images.device)
    angle = (2 * u[0] - 1) * math.radians(settings.rotation)
    zoom = 1 / (1 + (2 * u[1] - 1) * settings.scale)
    mirror = torch.where(u[2] < settings.flip, -1.0, 1.0)
    right, down = (2 * u[3:] - 1) * (2 * settings.translate)
    # maps a pixel of the result to its source, in units of half the sides
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    across = torch.stack([cos * mirror, sin * mirror * (height / width)], 1)
    along = torch.stack([-sin * (width / height), cos], 1)
    turn = torch.stack([across, along], 1)
    rows = torch.cat([turn, -turn @ torch.stack([right, down], 1)[:, :, None]], 2)
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _between(images: Tensor, low: float, high: float) -> Tensor:
    """Draw one number per image, (N, 1, 1, 1), uniform between two."""
    return torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(low, high)


def _chosen(images: Tensor, probability: float) -> Tensor:
    """Choose images at random: (N, 1, 1, 1) of bool."""
    return _between(images, 0, 1) < probability


def without_colour(images: Tensor) -> Tensor:
    """Return RGB images (N, 3, H, W) as grey ones of three channels, as recognition converts them."""
    red, green, blue = images.unbind(1)
    grey = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return grey[:, None].expand_as(images)


def _brightness(images: Tensor) -> Tensor:
    """Return the mean of each image (N, C, H, W) in grey, (N, 1, 1, 1)."""
    grey = without_colour(images) if images.shape[1] == 3 else images
    return grey.mean(dim=(1, 2, 3), keepdim=True)


def _patches(images: Tensor, settings: AugmentationSettings) -> Tensor:
    """Choose a rectangle in some images (Zhong et al., "Random Erasing", AAAI 2020): (N, 1, H, W) of bool.

    Its area is uniform, and so is the ratio of its longer to its shorter side, upright or horizontal.
    """
    height, width = images.shape[-2:]
    area = _between(images, SMALLEST_PATCH, settings.erasing_area) * (height * width)
    ratio = _between(images, 1, LONGEST_PATCH)
    ratio = torch.where(_chosen(images, 0.5), ratio, 1 / ratio)
    high = (area * ratio).sqrt().round().clamp(1, height)
    wide = (area / ratio).sqrt().round().clamp(1, width)
    top = (_between(images, 0, 1) * (height - high + 1)).floor()
    left = (_between(images, 0, 1) * (width - wide + 1)).floor()
    y = torch.arange(height, device=images.device)[:, None]
    x = torch.arange(width, device=images.device)
    inside = (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
    return inside & _chosen(images, settings.erasing)


def _make_policy(settings: AugmentationSettings, *, has_colour: bool) -> nn.Module:
    """Make RandAugment's policy (Cubuk et al. 2020): random operations at one magnitude."""
    # imported here, because it takes a second
    from kornia.augmentation.auto import RandAugment
    from kornia.augmentation.auto.rand_augment.rand_augment import default_policy

    operations = [step for step in default_policy if has_colour or step[0][0] != "color"]
    policy: nn.Module = RandAugment(settings.randaugment, settings.randaugment_magnitude, operations)
    # its probabilities are parameters without a gradient, for which several processes would wait
    return policy.requires_grad_(requires_grad=False)


def mix(images: Tensor, targets: Tensor, settings: AugmentationSettings) -> tuple[Tensor, Tensor]:
    """Blend the images and targets of a batch by mixup or cutmix; with both on, by either at random."""
    choices = [mixing for mixing, alpha in ((mix_up, settings.mixup), (cut_mix, settings.cutmix)) if alpha]
    if not choices:
        return images, targets
    chosen = choices[int(torch.randint(len(choices), ()))]
    return chosen(images, targets, settings.mixup if chosen is mix_up else settings.cutmix)


def mix_up(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend every image (N, C, H, W) and target (N, K) with another of the batch, by one share of Beta(alpha, alpha).

    Zhang et al., "mixup", ICLR 2018, Eq. 1.
    """
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(images), device=images.device)
    return images.lerp(images[other], 1 - share), targets.lerp(targets[other], 1 - share)


def cut_mix(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another image of the batch into every image (N, C, H, W).

    The targets (N, K) are blended by the area that the rectangle covers, which is the same for the whole batch. The
    share that is kept is one of Beta(alpha, alpha). Yun et al., "CutMix", ICCV 2019, section 3.1.
    """
    height, width = images.shape[-2:]
    side = math.sqrt(1 - float(torch.distributions.Beta(alpha, alpha).sample()))
    y, x = float(torch.rand(())) * height, float(torch.rand(())) * width
    top, bottom = (min(height, max(0, round(y + sign * side * height / 2))) for sign in (-1, 1))
    left, right = (min(width, max(0, round(x + sign * side * width / 2))) for sign in (-1, 1))
    other = torch.randperm(len(images), device=images.device)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[other, :, top:bottom, left:right]
    return mixed, targets.lerp(targets[other], (bottom - top) * (right - left) / (height * width))


@torch.no_grad()
def make_not_faces(faces: Tensor, count: int) -> Tensor:
    """Make images without a whole face, similar to a detector's false boxes.

    A quarter each: a small part of a face (15 to 40 % of the side), a face that is more than half outside, a face cut
    into 3 x 3 tiles in random order, and smooth random texture. (N, C, H, W) in [0, 1] -> (count, C, H, W).
    """
    sources = faces[torch.randint(len(faces), (count,), device=faces.device)]
    made = torch.empty_like(sources)
    kinds = (_part_of_face, _half_outside, _tiles, _texture)
    for kind, make in enumerate(kinds[:count]):
        made[kind :: len(kinds)] = make(sources[kind :: len(kinds)])
    return made


def _cut_square(images: Tensor, zoom: Tensor, centre: Tensor) -> Tensor:
    """Cut the square with half side `zoom` (N,) around `centre` (N, 2); an image spans -1 to 1."""
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom
    theta[:, :, 2] = centre
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _part_of_face(images: Tensor) -> Tensor:
    n, device = len(images), images.device
    zoom = torch.empty(n, device=device).uniform_(0.15, 0.4)
    reach = (1 - zoom)[:, None]
    return _cut_square(images, zoom, (torch.rand(n, 2, device=device) * 2 - 1) * reach)


def _half_outside(images: Tensor) -> Tensor:
    n, device = len(images), images.device
    angle = torch.rand(n, device=device) * 2 * math.pi
    # 1.2 of the half side: at most 40 % of the width (or height) of the face is still in view
    distance = torch.empty(n, device=device).uniform_(1.2, 1.7)
    centre = torch.stack([angle.cos(), angle.sin()], 1)
    centre = centre / centre.abs().amax(1, keepdim=True) * distance[:, None]
    return _cut_square(images, torch.empty(n, device=device).uniform_(0.8, 1.2), centre)


def _tiles(images: Tensor) -> Tensor:
    h, w = images.shape[2:]
    if h % 3 or w % 3:
        resized = F.interpolate(images, (h // 3 * 3, w // 3 * 3), mode="bilinear")
        return F.interpolate(_tiles(resized), (h, w), mode="bilinear")
    tiles = F.unfold(images, (h // 3, w // 3), stride=(h // 3, w // 3))  # (N, C * h/3 * w/3, 9)
    order = torch.rand(len(images), 9, device=images.device).argsort(1)
    shuffled = tiles.gather(2, order[:, None, :].expand_as(tiles))
    return F.fold(shuffled, (h, w), (h // 3, w // 3), stride=(h // 3, w // 3))


def _texture(images: Tensor) -> Tensor:
    n, c, h, w = images.shape
    texture = torch.zeros_like(images)
    for cells in (2, 3, 6, 12, 24):
        # coarse structure is stronger, as in photographs
        noise = torch.randn(n, c, cells, cells, device=images.device)
        strength = torch.rand(n, 1, 1, 1, device=images.device) * 2 / cells**0.5
        texture += F.interpolate(noise, (h, w), mode="bicubic") * strength
    texture -= texture.mean((1, 2, 3), keepdim=True)
    deviation = texture.std((1, 2, 3), keepdim=True).clamp_min(1e-6)
    spread = torch.empty(n, 1, 1, 1, device=images.device).uniform_(0.05, 0.3)
    level = torch.empty(n, 1, 1, 1, device=images.device).uniform_(0.2, 0.8)
    return (texture / deviation * spread + level).clamp(0, 1)

"""The settings of corruption training: how often a training face is corrupted, and how badly."""

from __future__ import annotations

from pydantic import Field

from mien.recipes.settings import Fraction, NonNegative, Settings


class CorruptionSettings(Settings):
    """Corruptions of training faces, each with its own probability; 0 turns one off.

    A face may get several. Severities are uniform from nothing to the limit beside the probability, unless stated
    otherwise. Lengths are shares of the side, deviations and steps shares of the range of values.

    `low_light`: up to `low_light_stops` less light, amplified again in part, with the shot noise of a sensor whose
    white pixel collects `low_light_electrons` in full light, or up to 32 times as many (log-uniform).
    `over_exposure`: more light, clipped at white. `noise`: Gaussian, fine or coarse. `blur`: Gaussian. `motion_blur`:
    along a line of any direction. `down_scaling`: shrunk by a factor and enlarged again. `jpeg`: 8 x 8 block cosine
    transform, rounded to multiples of a step, log-uniform from a thirtieth of `jpeg_step`. `cover`: a patch over the
    mouth, the eyes or half of the face. `rotation`: in the image plane, in degrees. `crop`: a face box of another size
    (`crop_scale`) and place (`crop_shift`).

    With `consistency` w above 0 the network sees each batch twice, clean and corrupted, and the loss is that of both
    plus w times the divergence of the corrupted faces' probabilities from the clean ones'; a step costs two.
    """

    low_light: Fraction = 0.0
    low_light_stops: float = Field(4.0, gt=0, le=10)
    low_light_electrons: float = Field(60.0, ge=1)
    over_exposure: Fraction = 0.0
    over_exposure_stops: float = Field(2.0, gt=0, le=10)
    noise: Fraction = 0.0
    noise_deviation: float = Field(0.15, gt=0, le=1)
    blur: Fraction = 0.0
    blur_deviation: float = Field(0.05, gt=0, le=0.5)
    motion_blur: Fraction = 0.0
    motion_blur_length: float = Field(0.2, gt=0, le=1)
    down_scaling: Fraction = 0.0
    down_scaling_factor: float = Field(5.0, gt=1, le=32)
    jpeg: Fraction = 0.0
    jpeg_step: float = Field(0.6, gt=0, le=4)
    cover: Fraction = 0.0
    rotation: Fraction = 0.0
    rotation_degrees: float = Field(40.0, gt=0, le=180)
    crop: Fraction = 0.0
    crop_scale: float = Field(0.2, ge=0, lt=1)
    crop_shift: Fraction = 0.1
    consistency: NonNegative = 0.0

"""The learning rate over the steps of a run."""

from __future__ import annotations

import math

from mien.recipes.schema import ScheduleSettings


def lr_share(step: int, steps_per_epoch: float, schedule: ScheduleSettings) -> float:
    """Return the share of the peak learning rate at an optimizer step.

    A linear warm-up, then half cosines with a restart every `cycle_epochs` (Loshchilov and Hutter, "SGDR", ICLR 2017,
    Eq. 5); or a straight line over the whole run, times the warm-up.
    """
    warmup = schedule.warmup_epochs * steps_per_epoch
    risen = (step + 1) / (warmup + 1) if step < warmup else 1.0
    if schedule.name == "linear":
        return risen * (1 - (1 - schedule.final_lr_share) * min(1.0, step / (schedule.epochs * steps_per_epoch)))
    if step < warmup:
        return risen
    if schedule.name == "constant":
        return 1.0
    cycle = (schedule.cycle_epochs or schedule.epochs - schedule.warmup_epochs) * steps_per_epoch
    done = step - warmup
    progress = done % cycle / cycle if schedule.cycle_epochs else min(1.0, done / max(1.0, cycle))
    floor = schedule.final_lr_share
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

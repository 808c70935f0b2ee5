"""The settings that decide a run where its recipe's file does not name them.

They are those of `mien.training.recipe`, written down once more because pages and reports are made without the `train`
extra; a test holds both together.
"""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, Any] = {
    "data.ferplus_weight": 0.0,
    "data.not_a_face_share": 0.0,
    "data.class_balance": 0.0,
    "network.input_size": 48,
    "network.channels": 1,
    "loss.name": "cross_entropy",
    "optimizer.name": "sgd",
    "optimizer.lr": 0.1,
    "optimizer.weight_decay": 0.0005,
    "optimizer.sam_rho": 0.0,
    "schedule.name": "cosine",
    "schedule.epochs": 30,
    "schedule.warmup_epochs": 1.0,
    "schedule.final_lr_share": 0.0,
    "schedule.cycle_epochs": 0,
    "schedule.plateau_factor": 0.1,
    "schedule.plateau_patience": 5,
    "augmentation.flip": 0.5,
    "augmentation.rotation": 0.0,
    "augmentation.scale": 0.0,
    "augmentation.translate": 0.0,
    "augmentation.brightness": 0.0,
    "augmentation.contrast": 0.0,
    "augmentation.erasing": 0.0,
    "augmentation.erasing_area": 0.2,
    "augmentation.noise": 0.0,
    "augmentation.grayscale": 0.0,
    "augmentation.randaugment": 0,
    "augmentation.randaugment_magnitude": 10,
    "augmentation.mixup": 0.0,
    "augmentation.cutmix": 0.0,
    "distillation.teachers": [],
    "distillation.weight": 0.5,
    "distillation.temperature": 2.0,
    "training.batch_size": 128,
    "training.ema_decay": 0.0,
    "training.gradient_clip": 0.0,
    "training.selection": "best",
    "training.patience": 0,
}

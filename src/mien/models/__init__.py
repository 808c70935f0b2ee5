"""Networks as parts: backbones with named stages, modulators, losses, optimizers, and papers made of them.

Importing this package does not import torch; its modules do, except `mien.models.catalogue`.
"""

"""Optimizers: one file per own optimizer, and those of libraries in the table of `registry.py`.

The file name is the optimizer's name in recipes; the file defines one subclass of `torch.optim.Optimizer`. Other
packages add theirs by an entry point of the group `mien.optimizers`. How each one applies `weight_decay` w to a
parameter theta at learning rate lr:

| optimizer | weight decay |
|---|---|
| adam, adamax, sgd | L2 term: w theta is added to the gradient, and so scaled with it |
| adabob | L2 term; `use_decoupled_decay = true`: as adamw |
| adamw | decoupled: theta (1 - lr w) before the step |
| adan | decoupled, proximal: theta / (1 + lr w) after the step; `weight_decouple = true`: as adamw |
| lion | decoupled: theta (1 - lr w) before the step; `weight_decouple = false`: as adam |
"""

BACKBONES = {"despam": {}}
ABLATIONS = {
    "despam": [
        {"modulators": {"stage2": "none"}},
        {"modulators": {"stage2": "none", "stage1": "despam"}},
        {"modulators": {"stage2": {"name": "despam", "reduction": 4}}},
        {"modulators": {"stage2": {"name": "bam", "combination": "product", "use_residual": False}}},
        {"modulators": {"stage2": {"name": "despam", "kernel": 3}}},
        {"modulators": {"stage2": {"name": "despam", "gate_kernel": 5}}},
        {"options": {"depths": [1, 2, 1]}},
        {"options": {"channels": [32, 64, 96]}},
        {"options": {"kernel": 3}},
        {"options": {"expansion": 4}},
        {"options": {"features": 256}},
    ],
}

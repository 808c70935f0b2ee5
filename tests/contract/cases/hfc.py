RESNET = ("stem", "stage1", "stage2", "stage3")
MOBILENET = (*RESNET, "stage4", "stage5", "stage6")
BACKBONES = {"mobilenet_v2": {}}
# Keeps maps of 3 x 3 positions at 24 pixels.
STRIDES = {"strides": [1, 2, 2, 1, 1, 1, 1], "dropout": 0.0}
SLIM = {
    "resnet18_bam": {"width": 16},
    "resnet18_hfc": {"width": 16},
    "mobilenet_v2": {"width": 0.35, **STRIDES},
    # BAM's 16th part of the channels needs 16 of them
    "mobilenet_v2_bam": {"width": 0.75, **STRIDES},
    "mobilenet_v2_hfc": {"width": 0.35, **STRIDES},
}


def everywhere(places, modulator):
    return {"modulators": dict.fromkeys(places, modulator)}


def bam(**options):
    return {"name": "bam", "use_batch_norm": False, "use_spatial_bias": False, **options}


# Table 1's rows, and the options that the paper leaves open.
QUERIES = [{"name": "hfc", "query": query} for query in ("lfc", "both", "both_hl")]
HFC = ["none", *QUERIES, {"name": "hfc", "cutoff": 0.5}, {"name": "hfc", "kernel": 3}, bam()]
BAM = ["none", "bam", bam(reduction=8), bam(dilation=2), bam(combination="product"), "hfc"]
ABLATIONS = {
    "resnet18_hfc": [everywhere(RESNET, choice) for choice in HFC],
    "mobilenet_v2_hfc": [everywhere(MOBILENET, choice) for choice in HFC],
    "resnet18_bam": [everywhere(RESNET, choice) for choice in BAM],
    "mobilenet_v2_bam": [everywhere(MOBILENET, choice) for choice in BAM],
    "mobilenet_v2": [
        {"options": {"width": 0.5}},
        {"options": {"stem_stride": 1}},
        {"options": {"use_zero_gamma": True}},
        {"options": {"strides": [1, 2, 2, 2, 1, 1, 1]}},
        {"modulators": {"stage3": "despam"}},
    ],
}

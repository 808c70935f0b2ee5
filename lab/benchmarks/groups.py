"""Score the default model by groups of images that need no labels of people: measures of the image, feature groups.

python -m lab.benchmarks.groups --data FER2013 --out results/groups.json
"""

from __future__ import annotations

from dataclasses import replace

from lab.benchmarks.command import make_parser, write_record
from mien.data import registry
from mien.evaluation.image_groups import FEATURE_GROUP, MEASURES, describe_images
from mien.evaluation.predict import predict_split
from mien.evaluation.slices import score_slices
from mien.inference.detectors.registry import AUTO, create_detector
from mien.inference.model import OnnxModel

COLUMNS = (*MEASURES, FEATURE_GROUP)
PERMUTATIONS = 10_000


def main() -> None:
    """Measure PublicTest, score every group and write the record."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--model", default="default", help="model by name, or an .onnx file")
    options = parser.parse_args()
    model, faces = OnnxModel.load(options.model), registry.load("fer2013", options.data)
    predictions = predict_split(model, faces, "validation")
    metadata = describe_images(model, faces.split("validation"), create_detector(AUTO))
    predictions = replace(predictions, metadata=metadata)
    columns = {column: score_slices(predictions, column, rounds=PERMUTATIONS) for column in COLUMNS}
    write_record(
        {
            "model": model.card.name,
            "dataset": "fer2013",
            "split": "validation",
            "n": len(predictions),
            "permutations": PERMUTATIONS,
            "columns": {
                column: {
                    "gap": scored["gap"],
                    "groups": {
                        name: {key: row[key] for key in ("n", "accuracy", "expected", "p_corrected")}
                        | {"interval": row["intervals"]["accuracy"]}
                        for name, row in scored["groups"].items()
                    },
                }
                for column, scored in columns.items()
            },
        },
        options.out,
    )


if __name__ == "__main__":
    main()

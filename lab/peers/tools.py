"""The tools that are compared: how each is installed, started and asked, and what is known about its training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "mien"


@dataclass(frozen=True)
class Tool:
    """One tool as it is measured.

    Attributes:
        name: Its name in the record and on the page.
        environment: The folder of its environment, and the file or folder in `environments/` with its versions.
        adapter: The module in `adapters/`.
        runtime: `python` or `node`.
        options: Settings of the adapter.
        ways: What each of the adapter's ways to classify a crop is; the first is the tool's own public one.
        trained_on: What its authors say about the training images, and where.
        uses: Its parts that are measured.
        downloads: Where its weights come from at first use; such a tool is only run when asked for.
    """

    name: str
    environment: str
    adapter: str
    runtime: str = "python"
    options: dict[str, Any] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    trained_on: str = ""
    uses: str = ""
    downloads: str = ""


def ours(model: str = "default", views: str = "one") -> Tool:
    """Return mien with one of its models."""
    name = OURS if (model, views) == ("default", "one") else f"{OURS}, {Path(model).stem}"
    return Tool(
        name=name if views == "one" else f"{name.removesuffix(', default')}, {views}",
        environment=OURS,
        adapter="mien_tool",
        options={"model": model, "views": views},
        ways={"public": '`Recognizer(detector="none").recognize(crop)`'},
        trained_on="FER2013's Training split, its labels mixed with FER+'s votes for the same images; the epoch and "
        "the temperature were selected on PublicTest, the images scored here",
        uses="its own detector and expression network; installed with the extra `video`",
    )


FER = Tool(
    name="fer",
    environment="fer",
    adapter="fer_tool",
    ways={
        "public": "`FER().detect_emotions(crop, face_rectangles=[whole crop])`; it enlarges the rectangle by 10 "
        "pixels on each side",
        "best": "the same with `FER(offsets=(0, 0))`, which takes the rectangle as it is",
    },
    trained_on="its README refers to FER2013 without naming splits, and credits "
    "[face_classification](https://github.com/oarriaga/face_classification), whose script trains on Training and "
    "selects the epoch on PublicTest and PrivateTest together",
    uses="OpenCV's Haar cascade and the TensorFlow Lite network, both the defaults",
)
FACE_API = Tool(
    name="face-api",
    environment="face_api",
    adapter="face_api",
    runtime="node",
    ways={"public": "`nets.faceExpressionNet.predictExpressions(crop)`"},
    trained_on='"a variety of images from publicly available datasets as well as images scraped from the web" '
    "([face-api.js](https://github.com/justadudewhohacks/face-api.js)), not named",
    uses="SSD MobileNet v1 and the expression network, in Node.js with TensorFlow.js's WebAssembly backend",
)
HUMAN = Tool(
    name="human",
    environment="human",
    adapter="human",
    runtime="node",
    ways={
        "public": "`detect(crop)`; there is no public call without detection, and a crop in which it finds no face "
        "counts as wrong",
        "best": "its expression network alone, with its own preparation of the input",
    },
    trained_on="its README names the network of "
    "[face_classification](https://github.com/oarriaga/face_classification), whose script trains on FER2013's Training "
    "and selects the epoch on PublicTest and PrivateTest together",
    uses="BlazeFace, face mesh and the expression network, in Node.js with TensorFlow.js's WebAssembly backend; its "
    "other parts are off, and it may find 10 faces instead of 1",
)
# Written from their packages' code, not yet run: their weights are in no package registry.
DOWNLOADED = (
    Tool(
        name="deepface",
        environment="deepface",
        adapter="deepface_tool",
        ways={"public": '`DeepFace.analyze(crop, detector_backend="skip")`'},
        trained_on="not looked up",
        downloads="GitHub releases of its author",
    ),
    Tool(
        name="rmn",
        environment="rmn",
        adapter="rmn_tool",
        ways={"public": "`RMN().detect_emotion_for_single_face_image(crop)`"},
        trained_on="not looked up",
        downloads="a file host, when it is imported",
    ),
    Tool(
        name="py-feat",
        environment="pyfeat",
        adapter="pyfeat_tool",
        ways={"public": "`Detectorv1.detect(crop)`, with detection"},
        trained_on="not looked up",
        downloads="Hugging Face",
    ),
    Tool(
        name="EmotiEffLib",
        environment="emotiefflib",
        adapter="emotiefflib_tool",
        ways={"public": "`EmotiEffLibRecognizer.predict_emotions(crop)`"},
        trained_on="not looked up",
        uses="its default network; it does not find faces",
        downloads="its repository on GitHub",
    ),
)
HERE = (ours(), ours("default-int8"), ours(views="flip"), FER, FACE_API, HUMAN)

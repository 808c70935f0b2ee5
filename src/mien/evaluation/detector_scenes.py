"""Run a face detector on composed scenes and score it by condition."""

from __future__ import annotations

from typing import Any

from mien.core.errors import DataError
from mien.evaluation import detection
from mien.evaluation.detection import Matches
from mien.evaluation.detector_conditions import CONDITIONS, SIZE, ConditionComposer
from mien.evaluation.detector_scores import Finder, Seen
from mien.evaluation.predict import Progress

MOST_FACES = 100_000


def count_faces(faces: int) -> int:
    """Return what `progress` of `score_scenes` adds up to."""
    return faces * sum(len(levels) for levels in CONDITIONS.values())


def score_scenes(
    finder: Finder,
    composer: ConditionComposer,
    faces: int = 200,
    *,
    seen: Seen | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run a detector on scenes of every level of every condition.

    Args:
        finder: The detector, and the recognizer that rejects non-faces, if any.
        composer: Makes the scenes.
        faces: Drawn faces of each level; 1 to 100,000. A level without faces has a scene for every four.
        seen: Called with "condition: level", the pixels and the matches (after the last stage) of each scene.
        progress: Called after each level with `faces`.

    Returns:
        A JSON-ready dict without dates or paths: `detector` and `model` (None without a recognizer); `seed`; the
        numbers of `photographs`, of `faces` of the data set and of the `frontal` ones; and `stages`: for `detector`,
        and `rejection` if there is a recognizer, `frontal`, the counts (`detection.count`) over all sizes;
        `conditions`, by name the `level` and the counts of each; and `calibration`, of the scores in the scenes of
        `frontal`.

    Raises:
        DataError: `faces` is out of range.
    """
    if not 1 <= faces <= MOST_FACES:
        raise DataError(f"{faces} faces per level given; expected 1 to {MOST_FACES:,}.")
    judged: dict[str, dict[str, list[dict[str, Matches]]]] = {}
    for condition, levels in CONDITIONS.items():
        judged[condition] = {}
        for level in levels:
            rows = judged[condition][level.label] = list[dict[str, Matches]]()
            for scene in composer.scenes(level, faces):
                rows.append(finder.judge(scene.image, scene.faces, scene.is_ignored))
                if seen is not None:
                    seen(f"{condition}: {level.label}", scene.image, rows[-1][finder.stages[-1]])
            if progress is not None:
                progress(faces)
    return {
        "detector": finder.detector.name,
        "model": finder.recognizer.card.name if finder.recognizer else None,
        "seed": composer.seed,
        "photographs": len(composer.photographs),
        "faces": len(composer.faces),
        "frontal": len(composer.frontal),
        "stages": {stage: _score_stage(judged, stage) for stage in finder.stages},
    }


def _score_stage(judged: dict[str, dict[str, list[dict[str, Matches]]]], stage: str) -> dict[str, Any]:
    chosen = {
        condition: {level: [one[stage] for one in rows] for level, rows in levels.items()}
        for condition, levels in judged.items()
    }
    frontal = [one for rows in chosen[SIZE].values() for one in rows]
    return {
        "frontal": detection.count(frontal),
        "conditions": {
            condition: [{"level": level, **detection.count(rows)} for level, rows in levels.items()]
            for condition, levels in chosen.items()
        },
        "calibration": detection.calibration(frontal),
    }

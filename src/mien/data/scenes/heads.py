"""Heads: a face of a data set with hair, neck and clothes around it, or a head on which no face can be seen."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.scenes.covers import COVERS, FACE, cover_some
from mien.data.scenes.surfaces import Grey, Surfaces

HEAD = 3 * FACE  # pixels of the canvas that a head is drawn on, with the face's frame in its middle
_ROWS, _COLUMNS = np.mgrid[0:HEAD, 0:HEAD].astype(np.float32)
# In sides of the face's frame, from its middle.
X, Y = (_COLUMNS - HEAD / 2 + 0.5) / FACE, (_ROWS - HEAD / 2 + 0.5) / FACE
BALD_SHARE, LONG_HAIR_SHARE, CLOTHES_SHARE = 0.25, 0.3, 0.65
PRINT_SHARE = 0.15  # of the heads are printed photographs
# Quantiles between which shades of faces are drawn evenly, and how many neighbours of a shade may be drawn instead.
SHADES, NEIGHBOURS = (0.005, 0.995), 60


class Head(NamedTuple):
    """A head on a canvas: grey values and opacity, each (144, 144) float32."""

    grey: Grey
    alpha: Grey


class HeadPainter:
    """Draws heads with random hair, neck, clothes and light.

    Args:
        faces: (n, 48, 48) uint8.
        surfaces: Draws hair and clothes; its generator draws everything else, too.
    """

    def __init__(self, faces: NDArray[np.uint8], surfaces: Surfaces) -> None:
        self.faces, self.surfaces = faces, surfaces
        shades = np.median(faces[:, 12:40, 14:34], axis=(1, 2))
        self.order = np.argsort(shades, kind="stable")
        self.shades = shades[self.order]
        self.range = np.quantile(shades, SHADES)

    def with_face(
        self, face: NDArray[np.uint8] | None = None, cover: str | None = None, shade: float | None = None
    ) -> Head:
        """Draw a head.

        Args:
            face: (48, 48); None: a random one, mirrored or not.
            cover: A name of `COVERS`, "" for none; None: draw one.
            shade: How much darker than usual one side is, and the other brighter, 0 to 1; None: draw it.
        """
        rng = self.surfaces.rng
        grey = self._random_face() if face is None else face.astype(np.float32)
        if cover is None and rng.random() < PRINT_SHARE:
            return self._printed(grey)
        canvas = _Canvas()
        skin = float(np.median(grey[12:40, 14:34]))
        self._clothes(canvas, skin)
        if rng.random() < BALD_SHARE:
            size = rng.uniform(0.4, 0.5), rng.uniform(0.5, 0.62)
            canvas.paint(_ellipse(0, -0.05, *size), skin * rng.uniform(0.8, 1.05), blur=2)
        else:
            self._hair(canvas)
        if cover is None:
            grey = cover_some(grey, self.surfaces)
        elif cover:
            grey = COVERS[cover][0](grey, self.surfaces)
        power = 2 if rng.random() < 0.6 else 4
        width, height, down = rng.uniform(0.36, 0.52), rng.uniform(0.44, 0.56), rng.uniform(-0.02, 0.04)
        oval = np.abs(X / width) ** power + np.abs((Y - down) / height) ** power < 1
        canvas.paint(oval.astype(np.float32), _on_canvas(grey), blur=int(rng.integers(1, 6)))
        if cover is None and rng.random() < 0.2:  # beside the face: a hand, a microphone, another's shoulder
            angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.62)
            place = _ellipse(away * np.cos(angle), away * np.sin(angle), rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3))
            own = skin if rng.random() < 0.5 else None
            canvas.paint(place, self.surfaces.texture(HEAD, HEAD, own), blur=1)
        return self._lit(canvas) if shade is None else self._lit(canvas, shade)

    def without_face(self) -> Head:
        """Draw a head from behind, or one with an oval where no face can be seen."""
        rng = self.surfaces.rng
        if rng.random() < PRINT_SHARE:
            return self._printed(self._no_face(rng.uniform(0.5, 1), 0)[FACE : 2 * FACE, FACE : 2 * FACE])
        canvas = _Canvas()
        skin = rng.uniform(20, 220)
        self._clothes(canvas, skin)
        self._hair(canvas)
        kind = rng.random()
        if kind >= 0.3:
            oval = _ellipse(0, 0, rng.uniform(0.3, 0.52), rng.uniform(0.4, 0.56))
            canvas.paint(oval, self._no_face(kind, skin), blur=int(rng.integers(1, 6)))
        return self._lit(canvas)

    def _no_face(self, kind: float, skin: float) -> Grey:
        """Return skin, a face in disorder, a magnified part of a face, or a piece of a photograph."""
        rng = self.surfaces.rng
        if kind < 0.5:
            return self.surfaces.texture(HEAD, HEAD, skin)
        if kind < 0.7:
            return _on_canvas(_disorder(self._random_face(), rng))
        if kind < 0.85:
            side = int(rng.integers(10, 26))
            y, x = rng.integers(FACE - side), rng.integers(FACE - side)
            part = self._random_face()[y : y + side, x : x + side]
            return _on_canvas(np.asarray(cv2.resize(part, (FACE, FACE)), dtype=np.float32))
        piece = cv2.resize(self.surfaces.piece(10, 120), (FACE, FACE), interpolation=cv2.INTER_AREA)
        return _on_canvas(np.asarray(piece, dtype=np.float32))

    def _random_face(self) -> Grey:
        """Return a face, mirrored or not: half of them any, half drawn so that all shades are equally common."""
        rng = self.surfaces.rng
        number = int(rng.integers(len(self.faces)))
        if rng.random() < 0.5:
            number = int(np.searchsorted(self.shades, rng.uniform(*self.range)))
            # its neighbours have nearly the same shade: no face is drawn much more often than others
            number = int(np.clip(number + rng.integers(-NEIGHBOURS, NEIGHBOURS + 1), 0, len(self.faces) - 1))
        face: Grey = self.faces[self.order[number]].astype(np.float32)
        return np.ascontiguousarray(face[:, ::-1]) if rng.random() < 0.5 else face

    def _printed(self, face: Grey) -> Head:
        """Return a face as on a printed photograph or a card: its square frame, on paper or continued by its border."""
        rng = self.surfaces.rng
        margin = 0.5 + (rng.uniform(0.2, 0.9) if rng.random() < 0.4 else 0.0)
        paper = (np.maximum(np.abs(X), np.abs(Y)) < margin).astype(np.float32)
        grey = _on_canvas(face)
        if margin > 0.5 and rng.random() < 0.5:
            inside = (np.maximum(np.abs(X), np.abs(Y)) < 0.5).astype(np.float32)
            grey = grey * inside + rng.uniform(0, 255) * (1 - inside)
        return Head(grey.astype(np.float32), paper)

    def _clothes(self, canvas: _Canvas, skin: float) -> None:
        rng = self.surfaces.rng
        if rng.random() >= CLOTHES_SHARE:
            return
        width, top = rng.uniform(0.7, 1.5), rng.uniform(0.5, 0.8)
        right = np.array([[0.22, 0.3], [0.28, top], [width, top + 0.4], [width * 1.15, 1.6]])
        outline = np.concatenate([right, (right * [-1, 1])[::-1]])
        clothes, neck = np.zeros((2, HEAD, HEAD), dtype=np.float32)
        cv2.fillPoly(clothes, [(outline * FACE + HEAD / 2).astype(np.int32)], 1.0)
        canvas.paint(clothes, self.surfaces.texture(HEAD, HEAD), blur=1)
        if rng.random() < 0.7:
            half = 0.24 * FACE
            low = (int(HEAD / 2 + half), int(HEAD / 2 + top * FACE))
            cv2.rectangle(neck, (int(HEAD / 2 - half), HEAD // 2), low, 1.0, -1)
            canvas.paint(neck, skin * rng.uniform(0.6, 1.0), blur=2)

    def _hair(self, canvas: _Canvas) -> None:
        rng = self.surfaces.rng
        hair = self.surfaces.texture(HEAD, HEAD, rng.uniform(5, 120) if rng.random() < 0.75 else None)
        width, height = rng.uniform(0.45, 0.66), rng.uniform(0.55, 0.8)
        canvas.paint(_ellipse(rng.normal(0, 0.03), -0.1 + rng.normal(0, 0.04), width, height), hair, blur=2)
        if rng.random() < LONG_HAIR_SHARE:
            is_hair = (np.abs(X) < width * rng.uniform(0.9, 1.1)) & (Y > -0.1) & (rng.uniform(0.4, 1.2) > Y)
            canvas.paint(is_hair.astype(np.float32), hair, blur=4)

    def _lit(self, canvas: _Canvas, shade: float | None = None) -> Head:
        """Return the head with light from one side, by default only sometimes."""
        rng = self.surfaces.rng
        grey: Grey = canvas.grey
        if rng.random() < 0.4 if shade is None else shade > 0:
            angle, edge = rng.uniform(0, 2 * np.pi), rng.uniform(1, 4)
            side = np.tanh(edge * (X * np.cos(angle) + Y * np.sin(angle)))
            strength = rng.uniform(0.1, 0.8) if shade is None else shade
            grey = grey * np.clip(1 + strength * side, 0.1, 1.8)
        return Head(grey, canvas.alpha)


class _Canvas:
    """What has been drawn of a head so far."""

    def __init__(self) -> None:
        self.grey, self.alpha = np.zeros((2, HEAD, HEAD), dtype=np.float32)

    def paint(self, mask: Grey, value: Grey | float, blur: int) -> None:
        """Paint a grey value or surface where the mask, blurred by a kernel of 2 * blur + 1 pixels, is above 0."""
        soft = cv2.GaussianBlur(mask, (2 * blur + 1, 2 * blur + 1), 0)
        self.grey += (value - self.grey) * soft
        self.alpha += (1 - self.alpha) * soft


def _ellipse(x: float, y: float, width: float, height: float) -> Grey:
    inside: Grey = (((X - x) / width) ** 2 + ((Y - y) / height) ** 2 < 1).astype(np.float32)
    return inside


def _on_canvas(face: Grey) -> Grey:
    around = cv2.copyMakeBorder(face, FACE, FACE, FACE, FACE, cv2.BORDER_REPLICATE)
    return np.asarray(around, dtype=np.float32)


def _disorder(face: Grey, rng: np.random.Generator) -> Grey:
    """Return a face upside down, with its halves exchanged, or shifted around its border."""
    half = FACE // 2
    changed = (
        face[::-1],
        np.roll(face, half, 0),
        np.roll(face, half, 1),
        np.roll(face, (int(rng.integers(14, 34)), int(rng.integers(14, 34))), (0, 1)),
    )
    return np.ascontiguousarray(changed[rng.integers(len(changed))])

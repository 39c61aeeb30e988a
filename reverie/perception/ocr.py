"""Lines of text in a picture.

RapidOCR with the PP-OCRv6 small models of PaddleOCR on ONNX Runtime: differentiable binarisation finds lines
(Liao et al. 2020), a CTC recogniser reads each (48 px high). The models come with the package; their digests
are checked and nothing is downloaded.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.models import resolve
from reverie.perception.rgb import Rgb
from reverie.perception.strokes import Area


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text with its score in [0, 1] and its place."""

    text: str
    score: float
    area: Area


class TextReader(Protocol):
    """Pictures to lines. Picklable before `load`."""

    def load(self) -> None:
        """Load weights. Raises ModelError."""
        ...

    def read(self, image: Rgb) -> tuple[Line, ...]:
        """The lines in a picture, in no order."""
        ...


class OcrConfig(BaseModel):
    """Options of the text recogniser."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    detection: str = Field(default="pp-ocr-detection", description="Model name of the ONNX text detector.")
    recognition: str = Field(default="pp-ocr-recognition", description="Model name of the ONNX text recogniser.")
    min_score: float = Field(default=0.6, ge=0, le=1, description="Lines below it are dropped.")
    max_side_px: int = Field(default=960, ge=320, description="Longer side of the picture in which lines are sought.")
    num_threads: int = Field(default=1, ge=1, description="ONNX Runtime threads.")


class PpOcr:
    """The embedded profile's `TextReader`. Upside-down lines are not read."""

    def __init__(self, config: OcrConfig | None = None) -> None:
        self._config = config or OcrConfig()
        self._engine: Any = None

    def __reduce__(self) -> tuple[type[PpOcr], tuple[OcrConfig]]:
        return type(self), (self._config,)

    def load(self) -> None:
        """Load both models. Raises ModelError."""
        from rapidocr import RapidOCR

        config = self._config
        params = {
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.text_score": config.min_score,
            "Det.model_path": str(resolve(config.detection)),
            "Det.limit_type": "max",
            "Det.limit_side_len": config.max_side_px,
            "Rec.model_path": str(resolve(config.recognition)),
            "EngineConfig.onnxruntime.intra_op_num_threads": config.num_threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": config.num_threads,
        }
        self._engine = RapidOCR(params=params)
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)  # it reports every picture without text
        self._engine(np.full((64, 320, 3), 255, np.uint8))  # models load on the first call

    def read(self, image: Rgb) -> tuple[Line, ...]:
        """The readable lines in a picture (see `is_readable`)."""
        if self._engine is None:
            self.load()
        found = self._engine(np.ascontiguousarray(image[:, :, ::-1]))  # it takes BGR, as OpenCV gives
        if found.boxes is None or not found.txts:
            return ()
        height, width = image.shape[:2]
        lines = []
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            if not is_readable(text, float(score), self._config.min_score):
                continue
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            area = Area(
                x0=max(0.0, float(x0) / width),
                y0=max(0.0, float(y0) / height),
                x1=min(1.0, float(x1) / width),
                y1=min(1.0, float(y1) / height),
            )
            lines.append(Line(text=" ".join(text.split()), score=min(1.0, float(score)), area=area))
        return tuple(lines)


def is_readable(text: str, score: float, min_score: float) -> bool:
    """Two letters or digits at least, and mostly those, with a score that short texts need more of.

    What textures are read as is short, odd or uncertain: 0.9 is asked of two letters, 0.8 of four. A wall or
    a fence reads as one letter over and over.
    """
    significant = sum(character.isalnum() for character in text)
    mostly = significant >= 0.5 * len(text.replace(" ", ""))
    letters = [character for character in text.lower() if character.isalpha()]
    repeats = len(letters) >= 4 and max(map(letters.count, letters)) > 0.5 * len(letters)
    return significant >= 2 and mostly and not repeats and score >= max(min_score, 1 - 0.05 * significant)

"""CAT2000 in the form of the original MIT benchmark: JPEG maps in the folders of the categories."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import cv2
from torch import Tensor

from saliency_pred.submission.stills import PictureBoard, grey_picture


class Cat2000(PictureBoard):
    """``MODEL/Action/001.jpg`` ...: grey JPEG of the name and the size of each test picture.

    MODEL is the archive's own name. The MIT/Tübingen benchmark took the board over; it reads this form as a model
    without probabilities, and log densities (``board=tuebingen``) with them: take those where you can, for a JPEG
    keeps 8 bits and changes them.

    Source: https://saliency.mit.edu/submission_cat2000.html.
    """

    name = "cat2000"
    images: ClassVar[dict[str, int]] = {"cat2000": 2000}
    format = "JPEG"
    ending = ".jpg"

    def folder(self, file: Path) -> str:
        """The archive's name without its ending."""
        return f"{file.stem}/"

    def write(self, log_density: Tensor, path: Path) -> None:
        """One JPEG of the best quality."""
        grey_picture(log_density, path, cv2.IMWRITE_JPEG_QUALITY, 100)

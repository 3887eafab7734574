"""SALICON 2017 (LSUN'17 challenge): one PNG per test image, in a zip."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import cv2
from torch import Tensor

from saliency_pred.submission.stills import PictureBoard, grey_picture


class Salicon(PictureBoard):
    """``COCO_test2014_000000000063.png`` ..., 8-bit grey, 480 x 640, without folders.

    Levels are rounded: integer parts cost the test scores of one published network KLD .19 to .26 and IG .91 to
    .87. The server scores the pictures with the MATLAB code of the MIT benchmark (``preset=salicon``).

    Source: https://competitions.codalab.org/competitions/17136; names as in archives of published networks, the
    server states no rule.
    """

    name = "salicon"
    images: ClassVar[dict[str, int]] = {"salicon": 5000}
    format = "PNG"
    ending = ".png"

    def write(self, log_density: Tensor, path: Path) -> None:
        """One PNG."""
        grey_picture(log_density, path, cv2.IMWRITE_PNG_COMPRESSION, 9)

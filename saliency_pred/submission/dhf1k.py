"""DHF1K: one PNG a frame, in a folder a video, in a folder of the method's name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image

from saliency_pred.submission.check import Check
from saliency_pred.submission.staging import Staging
from saliency_pred.submission.videos import VideoBoard, WantedVideo


class Dhf1k(VideoBoard):
    """``METHOD/0701/0001.png`` ...: 8-bit grey of the frames' size, numbered from 1; METHOD is the archive's name.

    Sent by mail, once a week; the 300 test videos are 701 to 1000.

    Source: README of https://github.com/wenguanwang/DHF1K.
    """

    name = "dhf1k"
    images: ClassVar[dict[str, int]] = {"dhf1k": 300}

    def hint(self) -> str:
        """How files are named."""
        return "maps are METHOD/VIDEO/0001.png and on, METHOD the archive's name"

    def folder(self, file: Path) -> str:
        """The archive's name without its ending."""
        return f"{file.stem}/"

    def entries(self, video: WantedVideo) -> list[str]:
        """One file a frame."""
        return [f"{video.name}/{number:04d}.png" for number in range(1, video.frames + 1)]

    def write(self, video: WantedVideo, maps: Iterator[np.ndarray], staging: Staging) -> None:
        """One PNG a frame, its levels rounded."""
        for name, map_ in zip(self.entries(video), maps, strict=True):
            if map_.shape != video.size:
                raise ValueError(f"{video.name}: the predictions are {map_.shape}, the frames {video.size}")
            with staging.writing(name) as path:
                levels = (255 * map_).round().astype(np.uint8)
                if not cv2.imwrite(str(path), levels, (cv2.IMWRITE_PNG_COMPRESSION, 9)):
                    raise OSError(f"{path} could not be written")

    def look_at(self, check: Check, archive: zipfile.ZipFile, video: WantedVideo, folder: str) -> None:
        """Every picture: format, bits, size, content."""
        for entry in self.entries(video):
            check.entries += 1
            name = f"{folder}{entry}"
            try:
                with Image.open(io.BytesIO(archive.read(name))) as picture:
                    size = (picture.height, picture.width)
                    if picture.format != "PNG" or picture.mode != "L":
                        check.refuse("is no 8-bit grey PNG", f"{name} ({picture.format}, {picture.mode})")
                        continue
                    if size != video.size:
                        check.refuse(
                            "has another size than its frame",
                            f"{name} ({size[0]} x {size[1]} for {video.size[0]} x {video.size[1]})",
                        )
                        continue
                    picture.load()
                    low, high = picture.getextrema()
            except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error ... by format
                check.refuse("cannot be read as a picture", f"{name} ({error})")
                continue
            if low == high:
                check.refuse("is the same everywhere", f"{name} ({low})")

    def read(self, file: Path, video: WantedVideo) -> Iterator[np.ndarray]:
        """The levels of every frame, over 255."""
        with zipfile.ZipFile(file) as archive:
            for entry in self.entries(video):
                with Image.open(io.BytesIO(archive.read(f"{self.folder(file)}{entry}"))) as picture:
                    yield np.asarray(picture, dtype=np.float32) / 255

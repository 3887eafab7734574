"""OSIE, with eyes or mouse, and EyeCrowd, as NUS VIP released them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.matlab import columns, field, read_mat
from saliency_pred.data.nusvip import NUSVIPDataset
from saliency_pred.data.stills import StillDataset, find_folder, list_files, list_images
from saliency_pred.fixations import OutsidePolicy


class OSIE(NUSVIPDataset):
    """OSIE: 700 everyday scenes with many objects, 15 viewers, 3 s of free viewing.

    ``data/stimuli/1001.jpg ... 1700.jpg`` (800 x 600) and ``data/eye/fixations.mat``; MIT licence.
    Durations are stored, onsets are not. 1279.jpg and 1374.jpg are the same picture.

    Source: Xu, Jiang, Wang, Kankanhalli, Zhao, "Predicting human gaze beyond pixels", Journal of Vision 2014;
    https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels.
    """

    name = "osie"
    viewing_time = 3.0
    pixel_per_dva = 24.0
    blur_sigma = 24.0
    expected_size = (600, 800)


class EyeCrowd(NUSVIPDataset):
    """EyeCrowd: 500 pictures of crowds, 16 viewers, 5 s of free viewing.

    ``data/stimuli/*.jpg`` (1024 x 768) and ``data/eye/fixations.mat``; durations are stored, onsets are not.

    Source: Jiang, Xu, Zhao, "Saliency in crowd", ECCV 2014; https://github.com/NUS-VIP/saliency-in-crowd.
    """

    name = "eyecrowd"
    viewing_time = 5.0
    blur_sigma = 24.0
    expected_size = (768, 1024)


class OSIEMouse(StillDataset):
    """OSIE's pictures, explored with a mouse in place of the eyes: in the laboratory or by crowd workers.

    ``data/stimuli/*.jpg`` and ``data/mouse_lab/<stem>.mat`` or ``data/mouse_amt/<stem>.mat``: a struct
    ``fixations`` whose ``coord`` (n, 2) lists sample points as [row, column], counted from 1. Who moved the
    mouse, and when, is not stored.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        mouse: ``lab`` or ``amt``.

    Source: as :class:`OSIE`; the tracking: Jiang, Huang, Duan, Zhao, "SALICON", CVPR 2015.
    """

    name = "osie_mouse"
    domain = "natural-mouse"
    blur_sigma = 24.0
    expected_size = (600, 800)

    def __init__(
        self,
        root: str | Path,
        split: str = "500/200",
        outside: OutsidePolicy = "drop",
        mouse: Literal["lab", "amt"] = "lab",
    ) -> None:
        super().__init__(root, split, outside)
        if mouse not in ("lab", "amt"):
            raise ValueError(f"{self.name}: mouse={mouse!r} is none of 'lab', 'amt'")
        base = find_folder(self.root, ["stimuli", "data/stimuli"], f"{self.name}: images").parent
        images = list_images(base / "stimuli", f"{self.name}: images")
        records = list_files(base / f"mouse_{mouse}", [".mat"], f"{self.name}: mouse samples")
        self.image_ids = self._match(images, records)
        self.paths = [images[stem] for stem in self.image_ids]
        rows: list[Row] = []
        for stem in self.image_ids:
            record = field(read_mat(records[stem], "fixations"), "coord", f"{records[stem]}: fixations")
            row, column = columns(record, 2, f"{records[stem]}: fixations.coord").T
            rows.append((column - 0.5, row - 0.5, None, None, None))  # counted from 1
        self.table = FixationTable(rows)
        self._finish()

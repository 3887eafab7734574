"""CrowdSAL: the largest crowd-sourced set of videos."""

from __future__ import annotations

from pathlib import Path

from saliency_pred.data.errors import DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.mouse_videos import MouseVideos
from saliency_pred.fixations import OutsidePolicy


class CrowdSAL(MouseVideos):
    """CrowdSAL: 5000 videos in full HD, upright or not, of about 18 s; more than 75 viewers each.

    ``{Train,Test}/Videos/NNNN.mp4``, ``{Train,Test}/Saliency/NNNN.mp4`` (density maps) and
    ``{Train,Test}/Fixations/NNNN.json``. The maps were blurred with a sigma of 57.6 pixels, about one degree.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        maps: also the density maps.

    Source: MSU Graphics & Media Lab; https://huggingface.co/datasets/ANDRYHA/CrowdSAL.
    """

    name = "crowdsal"
    blur_sigma = 57.6
    pixel_per_dva = 57.6

    def __init__(
        self, root: str | Path, split: str = "official", outside: OutsidePolicy = "drop", maps: bool = False
    ) -> None:
        super().__init__(root, split, outside)
        self.maps = maps
        self.image_ids, self.paths, self.fixation_paths, self.map_paths = [], [], [], []
        self._part: list[str] = []
        there = [part for part in ("Train", "Test") if (self.root / part / "Videos").is_dir()]
        if not there:
            raise DatasetNotFoundError(
                f"{self.name}: expected {self.root / 'Train' / 'Videos'}; set data.root to the folder that holds Train "
                "and Test"
            )
        for part in there:
            for path in sorted((self.root / part / "Videos").glob("*.mp4")):
                fixations = self.root / part / "Fixations" / f"{path.stem}.json"
                density = self.root / part / "Saliency" / path.name
                if not fixations.is_file():
                    self.note("video without fixations", path.name)
                    continue
                self.image_ids.append(path.stem)
                self.paths.append(path)
                self.fixation_paths.append(fixations)
                self.map_paths.append(density if density.is_file() else None)
                self._part.append(part.lower())
        if not self.image_ids:
            raise DatasetLayoutError(f"{self.name}: no video in {self.root / there[0] / 'Videos'} has its fixations")
        self.log_issues()

    def official_part(self, index: int) -> str:
        """``train`` or ``test``."""
        return self._part[index]

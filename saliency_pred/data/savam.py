"""SAVAM, as the video saliency benchmark of MSU lays it out."""

from __future__ import annotations

from pathlib import Path

from saliency_pred.data.annotated_frames import AnnotatedFrames
from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.stills import find_folder
from saliency_pred.data.video import VIDEO_SUFFIXES
from saliency_pred.fixations import OutsidePolicy


class SAVAM(AnnotatedFrames):
    """SAVAM: 41 clips of films in full HD, 50 viewers, an eye tracker of 500 Hz.

    ::

        videos/<name>.avi|mp4|...                 or frames in videos/<name>/
        savam_GT/<name>/fixations/<frame>.png     fixated pixels (the folder may be called GT)
        savam_GT/<name>/gaussians/<frame>.png     density maps

    A video belongs to the annotation whose name its own begins with.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        maps: also the density maps.

    Frames in folders are taken to be 25 a second.

    Source: Gitman et al., "Semiautomatic visual-attention modeling and its application to video compression",
    ICIP 2014; https://github.com/msu-video-group/video-saliency-prediction-benchmark.
    """

    name = "savam"
    blur_sigma = 120.0
    frame_rate = 25.0
    fixation_files = ("fixations/*.png", "fixations/*.jpg")
    map_files = "gaussians/*.png"

    def __init__(
        self, root: str | Path, split: str = "0.8/0.2", outside: OutsidePolicy = "drop", maps: bool = False
    ) -> None:
        super().__init__(root, split, outside)
        self.maps = maps
        annotation = find_folder(self.root, ["savam_GT", "GT"], f"{self.name}: annotation")
        folder = find_folder(self.root, ["videos", "Videos", "video"], f"{self.name}: videos")
        videos = [p for p in sorted(folder.iterdir()) if p.is_dir() or p.suffix.lower() in VIDEO_SUFFIXES]
        self.image_ids, self.paths, self.annotations = [], [], []
        for annotated in sorted(p for p in annotation.iterdir() if (p / "fixations").is_dir()):
            mine = [v for v in videos if v.name.startswith(annotated.name) or annotated.name.startswith(v.stem)]
            if len(mine) != 1:
                what = "annotation without video" if not mine else "annotation with several videos"
                self.note(what, annotated.name)
                continue
            self.image_ids.append(annotated.name)
            self.paths.append(mine[0])
            self.annotations.append(annotated)
        if not self.image_ids:
            raise DatasetLayoutError(
                f"{self.name}: no folder in {annotation} has fixations and a video of its name in {folder}"
            )
        self.log_issues()

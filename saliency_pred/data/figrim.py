"""FIGRIM: 2787 scenes looked at to be remembered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saliency_pred.data.bubbleview import read_userdata
from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.stills import StillDataset, list_categories
from saliency_pred.fixations import OutsidePolicy


class FIGRIM(StillDataset):
    """FIGRIM: 630 targets and 2157 fillers (1000 x 1000) of 21 scene categories; a recognition task.

    ``Targets/<category>/*.jpg`` with ``allImages_release.mat`` and ``Fillers/<category>/*.jpg`` with
    ``allImages_fillers.mat``: struct arrays ``allImages`` in the nesting of
    :mod:`saliency_pred.data.bubbleview`. Onsets are not stored; coordinates are taken as counted from 1, as
    MATLAB writes them.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        showings: ``enc`` when first seen, ``rec`` and ``rec2`` when seen again.

    Source: Bylinskii, Isola, Bainbridge, Torralba, Oliva, "Intrinsic and extrinsic effects on image
    memorability", Vision Research 2015; http://figrim.mit.edu.
    """

    name = "figrim"

    def __init__(
        self,
        root: str | Path,
        split: str = "0.8/0.2",
        outside: OutsidePolicy = "drop",
        showings: Sequence[str] = ("enc",),
    ) -> None:
        super().__init__(root, split, outside)
        wrong = set(showings) - {"enc", "rec", "rec2"}
        if wrong or not showings:
            raise ValueError(f"{self.name}: showings must be some of enc, rec, rec2; got {list(showings)}")
        found: dict[str, tuple[Path, Row]] = {}
        for folder, file in (("Targets", "allImages_release.mat"), ("Fillers", "allImages_fillers.mat")):
            if not (self.root / folder).is_dir() and folder == "Fillers":
                self.note("folder that the release has is not there", folder)
                continue
            by_path = list_categories(self.root / folder, f"{self.name}: images")
            stems = {path.stem: name for name, path in by_path.items()}
            if len(stems) < len(by_path):
                twice = sorted({p.stem for n, p in by_path.items() if stems[p.stem] != n})
                raise DatasetLayoutError(
                    f"{self.name}: {self.root / folder} has {twice[0]} in two categories; records name files only"
                )
            rows = read_userdata(self.root / file, "allImages", showings)
            for stem in self._match({s: by_path[n] for s, n in stems.items()}, rows):
                found[f"{folder}/{stems[stem]}"] = (by_path[stems[stem]], rows[stem])
        self.image_ids = list(found)
        self.paths = [path for path, _ in found.values()]
        self.table = FixationTable([row for _, row in found.values()])
        self._finish()

    def category(self, index: int) -> str:
        """The scene category: the folder that the picture is in."""
        return self.image_ids[index].split("/")[1]

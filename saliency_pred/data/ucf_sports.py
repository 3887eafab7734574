"""UCF Sports, as distributed with DHF1K."""

from __future__ import annotations

from saliency_pred.data.annotated_frames import ReleaseClips


class UCFSports(ReleaseClips):
    """UCF Sports: 150 clips of sports, 16 viewers, most of whom were to name the action.

    ``{training,testing}/<Action>-<NNN>/{images,maps,fixation}/<Action>_<NNN>_<fff>.png`` (some images are ``.jpg``).
    Frames are shipped without times; 24 a second is assumed, as the models trained on them do.

    The fixation maps have false points: the script that made them marks every row of a viewer's samples in every
    column of them, so that several samples in one frame become a grid. They are read as released.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        maps: also the shipped density maps.

    Source: Mathe, Sminchisescu, "Actions in the eye", PAMI 2015; packaging: Wang et al.,
    https://github.com/wenguanwang/DHF1K.
    """

    name = "ucf_sports"
    blur_sigma = 20.0
    frame_rate = 24.0

    def category(self, index: int) -> str:
        """The action, such as ``Diving-Side``."""
        return self.image_ids[index].rsplit("-", 1)[0]

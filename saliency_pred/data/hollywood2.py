"""Hollywood-2, as distributed with DHF1K."""

from __future__ import annotations

from saliency_pred.data.annotated_frames import ReleaseClips


class Hollywood2(ReleaseClips):
    """Hollywood-2: 1631 scenes of 69 films cut into 6257 shots, 16 viewers, most of whom were to name the action.

    ``{training,testing}/actionclip{train,test}NNNNN_S/{images,maps,fixation}/*_<fffff>.png``: shot S of scene NNNNN;
    frames are numbered on through a scene. Half of the shots have fewer than 32 frames, some a single one: see
    ``loader.clips.end``. Frames are shipped without times; 24 a second is assumed.

    The fixation maps have false points, as those of :class:`~saliency_pred.data.ucf_sports.UCFSports`.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        maps: also the shipped density maps.

    Source: Mathe, Sminchisescu, "Actions in the eye", PAMI 2015; packaging: Wang et al.,
    https://github.com/wenguanwang/DHF1K.
    """

    name = "hollywood2"
    blur_sigma = 20.0
    frame_rate = 24.0

    def recording(self, index: int) -> str:
        """The scene that a shot is of."""
        return self.image_ids[index].rsplit("_", 1)[0]

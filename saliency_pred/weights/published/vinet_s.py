"""ViNet-S (github.com/ViNet-Saliency/vinet_v2, CC BY-NC-SA 4.0): the state_dict of ``ViNet_S_model.py``."""

from __future__ import annotations

from saliency_pred.weights.published import vinet

CONFIG = {
    "encoder": "s3d",
    "decoder": "vinet_s",
    "settings": ["loader.size=[224,384]", "loader.resize=stretch", "loader.clips.frames=32"],
}

convert = vinet.convert

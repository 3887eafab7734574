"""ViNet-S (github.com/ViNet-Saliency/vinet_v2, CC BY-NC-SA 4.0): the state_dict of ``ViNet_S_model.py``."""

from __future__ import annotations

from saliency_pred.weights.published import vinet

CONFIG = vinet.CONFIG | {"decoder": "vinet_s"}

convert = vinet.convert

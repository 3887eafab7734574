"""TempSAL's temporal branch alone (github.com/IVRL/Tempsal): ``PNASVolModellast``'s state_dict.

Licence: the repository's file says MIT, its page CC BY-SA 4.0.
"""

from __future__ import annotations

from saliency_pred.weights.published.simplenet import convert

__all__ = ["CONFIG", "convert"]

CONFIG = {
    "encoder": "pnasnet",
    "decoder": "tempsal_temporal",
    "settings": [
        "loader.size=[256,256]",
        "loader.resize=stretch",
        "loader.windows=[[0,1],[1,2],[2,3],[3,4],[4,5]]",
    ],
}

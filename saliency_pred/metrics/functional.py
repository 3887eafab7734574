"""Fixation metrics as pure functions over stacks of maps.

Conventions of all functions
    ``maps`` are (M, H, W), float32 or float64, any device; ``fixations`` are packed, ``fixations.map_index``
    tells the map of each and ``fixations.num_maps`` is M; densities are (M, H, W) and non-negative.
    One float64 value per map is returned. A map without fixations is unscorable by the fixation metrics:
    NaN. NaN or infinite pixels are an error that names the map. Nothing is sampled: values are exact and
    tie-aware, and the same on every device. A density where fixations are needed, or the reverse, is a
    ``TypeError``.

Names ending in ``_mit`` reproduce the MATLAB code of the MIT benchmark where its definition is another one,
those ending in ``_aim`` the code of the AIM 2024 and NTIRE 2026 challenges.
"""

from saliency_pred.metrics.arguments import LOG_TOLERANCE
from saliency_pred.metrics.auc import auc, auc_borji, auc_judd, auc_judd_aim, auc_judd_mit, sauc, sauc_mit
from saliency_pred.metrics.earth_mover import emd
from saliency_pred.metrics.mapwise import cc, kld, sim, sim_mit
from saliency_pred.metrics.pointwise import MATLAB_EPS, MIT_EPS, ig, ig_mit, log_likelihood, nss, nss_aim

__all__ = [
    "LOG_TOLERANCE",
    "MATLAB_EPS",
    "MIT_EPS",
    "auc",
    "auc_borji",
    "auc_judd",
    "auc_judd_aim",
    "auc_judd_mit",
    "cc",
    "emd",
    "ig",
    "ig_mit",
    "kld",
    "log_likelihood",
    "nss",
    "nss_aim",
    "sauc",
    "sauc_mit",
    "sim",
    "sim_mit",
]

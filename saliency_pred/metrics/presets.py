"""Named sets of metrics with their conventions: what makes two scores comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saliency_pred.metrics.functional import MIT_EPS

KNOWN = ("ig", "log_likelihood", "auc", "nss", "cc", "kld", "sim")


@dataclass(frozen=True)
class Preset:
    """Which metrics are computed, and how.

    Attributes:
        name: recorded with the scores.
        metrics: in the order of the table, see :mod:`saliency_pred.metrics.functional`.
        kld_eps: the regulariser of KLD; values with different ones are not comparable.
        nss_ddof: 0 or 1, of the standard deviation in NSS.

    Raises:
        ValueError: an unknown metric.
    """

    name: str = "default"
    metrics: Sequence[str] = KNOWN
    kld_eps: float = MIT_EPS
    nss_ddof: int = 0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.metrics) - set(KNOWN))
        if unknown:
            raise ValueError(
                f"preset {self.name}: unknown metrics {', '.join(unknown)}; choose from {', '.join(KNOWN)}"
            )

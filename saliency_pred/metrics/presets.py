"""How a leaderboard scores a map, said once: metrics, their options, and what is done to the map before."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

import torch
import torch.nn.functional as nnf
from torch import Tensor

from saliency_pred.density import log_normalise
from saliency_pred.fixations import Fixations, OutsidePolicy
from saliency_pred.metrics.arguments import LOG_TOLERANCE, check_log_density, check_truth, places_on
from saliency_pred.metrics.auc import (
    borji_area,
    judd_aim_area,
    judd_area,
    judd_mit_area,
    shuffled_area,
    shuffled_mit_area,
    uniform_area,
)
from saliency_pred.metrics.earth_mover import least_work
from saliency_pred.metrics.mapwise import correlation, divergence, intersection, stretched_intersection
from saliency_pred.metrics.pointwise import AIM_EPS, MIT_EPS, bits_per_fixation, gain_in_bits, standardised
from saliency_pred.metrics.stack import Numbers, Places, Stack, min_max

Kind = Literal["map", "density", "log_density"]
"""What a prediction's values are: any real numbers; a density up to its sum; natural logarithms of one."""

Resize = Literal["error", "bilinear", "bicubic_antialias"]
"""What becomes of a map of another size: refused; ``cv2.resize`` with INTER_LINEAR; MATLAB's ``imresize``."""

Aggregation = Literal["image", "fixation", "video"]
"""The mean is over images; over fixations (metrics of fixations only); over the images of a folder, then over
folders (frames of videos)."""

NEEDS: dict[str, tuple[str, ...]] = {
    "auc": ("fixations",),
    "auc_judd": ("fixations",),
    "auc_judd_mit": ("fixations",),
    "auc_judd_aim": ("fixations",),
    "auc_borji": ("fixations",),
    "sauc": ("fixations", "negatives"),
    "sauc_mit": ("fixations", "negatives"),
    "nss": ("fixations",),
    "nss_aim": ("fixations",),
    "ig": ("fixations", "baseline", "log density"),
    "ig_mit": ("fixations", "baseline"),
    "log_likelihood": ("fixations", "log density"),
    "cc": ("density",),
    "kld": ("density",),
    "sim": ("density",),
    "sim_mit": ("density",),
    "emd": ("density",),
}
"""Metric → what it is computed from, besides the map."""


@dataclass(frozen=True)
class Preset:
    """The rules of one leaderboard.

    Attributes:
        name: for the record.
        metrics: names of :mod:`saliency_pred.metrics.functional`.
        eps: of KLD and ig_mit.
        ddof: of NSS.
        merge: several fixations of one pixel count once, as in a binary fixation map.
        negatives: from how many other images, drawn at random, the negatives of shuffled AUC are taken; None:
            from all of them.
        resize: see :data:`Resize`.
        stretch: maps are stretched to [0, 1] before they are resized, human maps too.
        quantise: maps are stretched to 0 .. 255 and rounded, as an upload of 8-bit pictures is.
        sigma: data set → pixels of the original image of the Gaussian that makes human densities from its
            fixations; other data sets use the maps they ship, else their own Gaussian.
        log_tolerance: how far the logarithm of a density's sum may be from 0.
        aggregation: see :data:`Aggregation`.
        outside: what becomes of fixations outside the image.

    Raises:
        ValueError: an unknown metric or option.
    """

    name: str
    metrics: tuple[str, ...]
    eps: float = MIT_EPS
    ddof: int = 0
    merge: bool = False
    negatives: int | None = None
    resize: Resize = "bilinear"
    stretch: bool = False
    quantise: bool = False
    sigma: dict[str, float] = field(default_factory=dict)
    log_tolerance: float = LOG_TOLERANCE
    aggregation: Aggregation = "image"
    outside: OutsidePolicy = "drop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(self.metrics))
        unknown = [m for m in self.metrics if m not in NEEDS]
        if unknown or not self.metrics:
            raise ValueError(f"preset {self.name}: metrics {unknown} are none of {', '.join(NEEDS)}")
        for option, choices in (
            ("resize", ("error", "bilinear", "bicubic_antialias")),
            ("aggregation", ("image", "fixation", "video")),
            ("outside", ("drop", "clip", "error")),
            ("ddof", (0, 1)),
        ):
            if getattr(self, option) not in choices:
                raise ValueError(f"preset {self.name}: {option}={getattr(self, option)!r} is none of {choices}")

    def unavailable(self, kind: Kind, given: set[str]) -> dict[str, str]:
        """Metric → what is missing for it.

        Args:
            kind: of the predictions.
            given: which of ``fixations``, ``negatives``, ``baseline`` and ``density`` there are.
        """
        have = given | ({"log density"} if kind != "map" else set())
        return {
            metric: " and ".join(need for need in NEEDS[metric] if need not in have)
            for metric in self.metrics
            if not set(NEEDS[metric]) <= have
        }

    def score(
        self,
        prediction: Tensor,
        fixations: Fixations | None,
        density: Tensor | None = None,
        baseline_log_density: Tensor | Stack | None = None,
        negatives: Fixations | None = None,
        *,
        kind: Kind = "map",
        name: str = "the map",
    ) -> dict[str, float]:
        """Every metric of the preset that can be computed from what is given (see :meth:`unavailable`).

        Args:
            prediction: (H, W) values of one image, any size that ``resize`` allows.
            fixations: of this one image; None where there are only maps.
            density: (h, w) human density at the image's size.
            baseline_log_density: (h, w), what information gain is measured against; for many images
                :func:`log_density_stack` of it, which is checked only once.
            negatives: fixations of other images, rescaled to this one.
            kind: see :data:`Kind`.
            name: of the image, for errors.

        Raises:
            TypeError: fixations and densities exchanged.
            ValueError: pixels that are no numbers, a size or a sum that the preset does not allow, a density of 0
                at a fixation where the preset has information gain or log-likelihood (it would be -inf), a human
                density that is negative or zero everywhere.
        """
        if fixations is not None:
            if not isinstance(fixations, Fixations):
                raise TypeError(f"fixations must be Fixations, got {type(fixations).__name__}")
            height, width = (int(v) for v in fixations.size[0])
        elif density is not None:
            height, width = density.shape
        else:
            raise ValueError(f"{name}: neither fixations nor a human density to score against")
        given = {
            part
            for part, value in (
                ("fixations", fixations),
                ("density", density),
                ("baseline", baseline_log_density),
                ("negatives", negatives),
            )
            if value is not None
        }
        missing = self.unavailable(kind, given)
        metrics = [metric for metric in self.metrics if metric not in missing]
        try:
            stack, log_density = self._prepared(prediction, (height, width), kind)
            map_, baseline = stack.maps, baseline_log_density
            if isinstance(baseline, Tensor):
                baseline = log_density_stack(baseline.to(map_.device))
            for other in (density, None if baseline is None else baseline.maps):
                if other is not None and other.shape[-2:] != map_.shape[1:]:
                    raise ValueError(
                        f"human densities and baselines must be {(height, width)}, got {tuple(other.shape)}"
                    )
            scene = _Scene(
                self,
                stack,
                log_density,
                None if fixations is None else places_on(map_, self._counted(fixations)),
                None if negatives is None else places_on(map_, negatives, "negatives"),
                self._human(density, map_),
                baseline,
            )
            return {metric: float(_VALUES[metric](scene)[0]) for metric in metrics}
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def prepare(
        self, prediction: Tensor, size: tuple[int, int], kind: Kind, name: str = "the map"
    ) -> tuple[Tensor, Tensor | None]:
        """(1, h, w) map to score at the image's size, and its log density unless it is just a map.

        float32 where the prediction is, else float64.

        Args:
            prediction, kind, name: as in :meth:`score`.
            size: (height, width) of the image.
        """
        try:
            stack, log_density = self._prepared(prediction, size, kind)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        return stack.maps, None if log_density is None else log_density.maps

    def _prepared(self, prediction: Tensor, size: tuple[int, int], kind: Kind) -> tuple[Stack, Stack | None]:
        """:meth:`prepare`, with what was computed on the way."""
        if prediction.ndim != 2:
            raise ValueError(f"a map is (height, width), got {tuple(prediction.shape)}")
        values = prediction.detach()[None]
        if values.dtype != torch.float32:
            values = values.double()
        given = _only(values, infinite=kind == "log_density")
        fits = tuple(values.shape[-2:]) == tuple(size)
        if not fits and self.resize == "error":
            raise ValueError(
                f"the map is {tuple(values.shape[-2:])}, the image {size}; preset {self.name} resizes none"
            )
        if kind == "map":
            if self.stretch:
                given = _only(min_max(given))
            return self._quantised(given if fits else _only(resized(given.maps, size, self.resize))), None
        if kind == "log_density":
            density, log_density = _only(values.exp()), given
            log_sum = math.log(max(float(density.sums[0]), 5e-324))
            if not abs(log_sum) < self.log_tolerance:
                raise ValueError(
                    f"no log density, the logarithm of its sum is {log_sum:.4g} and may be off by "
                    f"{self.log_tolerance:g} (natural logarithms? subtract logsumexp; or maps=map)"
                )
            if not fits:
                log_density = _only(log_normalise(resized(values, size, "bilinear")[None])[0], infinite=True)
                density = _only(log_density.maps.exp())
        elif kind == "density":
            if given.low[0] < 0:
                raise ValueError(f"no density, {int((values < 0).sum())} pixels are negative (maps=log_density?)")
            density = _only(given.density)
            if not fits:
                density = _only(_only(resized(density.maps, size, self.resize).clamp(min=0)).density)
            log_density = _only(density.maps.log(), infinite=True)
        else:
            raise ValueError(f"kind {kind!r} is none of 'map', 'density', 'log_density'")
        if self.stretch:  # before resizing, as of any other map
            plain = prediction.double().exp() if kind == "log_density" else prediction
            return self._prepared(plain, size, "map")[0], log_density
        return self._quantised(density), log_density

    def _human(self, density: Tensor | None, map_: Tensor) -> Tensor | None:
        """(1, h, w) human density as the leaderboard takes it."""
        human = None if density is None else density[None].to(map_)
        return min_max(Stack(human, name="the human density")) if human is not None and self.stretch else human

    def _quantised(self, stack: Stack) -> Stack:
        return _only((255 * min_max(stack)).round()) if self.quantise else stack

    def _counted(self, fixations: Fixations) -> Fixations:
        """Fixations inside the image, merged where the preset merges them."""
        if fixations.num_maps != 1:
            raise ValueError(f"one image at a time, got fixations of {fixations.num_maps} maps")
        inside, _ = fixations.clean(self.outside)
        if not self.merge:
            return inside
        row, column = inside.pixels()
        flat = row * int(inside.size[0, 1]) + column
        _, first = _first_of_each(flat)
        return inside.select(first)

    def description(self) -> dict[str, Any]:
        """Everything that makes a number, for scores.json."""
        found = dataclasses.asdict(self)
        found["metrics"] = list(self.metrics)
        found["units"] = {m: "bit/fixation" for m in self.metrics if m in ("ig", "ig_mit", "log_likelihood")}
        found["unscorable"] = "images without fixations are left out of the metrics of fixations and counted"
        found["constant_map"] = "AUC .5, NSS and CC 0; KLD, SIM and EMD of the uniform map"
        return found


def _only(map_: Tensor, infinite: bool = False) -> Stack:
    """A stack of one map, (1, H, W)."""
    return Stack(map_, infinite=infinite, name="the map")


def log_density_stack(log_density: Tensor) -> Stack:
    """A log density (h, w) that many images are scored against, and what is found out about it on the way."""
    return Stack(log_density.detach()[None], infinite=True, name="the baseline of information gain")


class _Scene:
    """One image to be scored; what several metrics need is computed once, when it is first asked for."""

    def __init__(
        self,
        rule: Preset,
        stack: Stack,
        log_density: Stack | None,
        places: Places | None,
        others: Places | None,
        density: Tensor | None,
        baseline: Stack | None,
    ) -> None:
        self.rule = rule
        self.stack = stack
        # What is missing is asked for by no metric that is computed
        self.log_density = cast(Stack, log_density)
        self.places = cast(Places, places)
        self.others = cast(Places, others)
        self.density = cast(Tensor, density)
        self.baseline = cast(Stack, baseline)

    @cached_property
    def truth(self) -> Stack:
        truth = Stack(self.density, name="the human density")
        check_truth(truth)
        return truth

    @cached_property
    def likelihood(self) -> Numbers:
        """Of the prediction, in bit per fixation."""
        stack = self.log_density
        bits = bits_per_fixation(stack, self.places)
        if bits[0] == -math.inf:
            zeros = int((self.places.values(stack, stack.maps, 0.0) == -math.inf).sum())
            raise ValueError(
                f"the density is 0 at {zeros} of {len(self.places.pixel)} fixations, so its likelihood is 0 and its "
                "information gain -inf; mix a small uniform density into it (pictures of 8 bits lose the tail of a "
                "density: write .npy, HDF5 or log densities), or score it as what it is (maps=map)"
            )
        return bits

    @cached_property
    def baseline_likelihood(self) -> Numbers:
        """Of the baseline, in bit per fixation."""
        check_log_density(self.baseline)
        bits = bits_per_fixation(self.baseline, self.places)
        if bits[0] == -math.inf:
            raise ValueError("the baseline of information gain is 0 at a fixation: nothing can be measured against it")
        return bits


_VALUES: dict[str, Callable[[_Scene], Numbers]] = {
    "auc": lambda s: uniform_area(s.stack, s.places),
    "auc_judd": lambda s: judd_area(s.stack, s.places),
    "auc_judd_mit": lambda s: judd_mit_area(s.stack, s.places),
    "auc_judd_aim": lambda s: judd_aim_area(s.stack, s.places),
    "auc_borji": lambda s: borji_area(s.stack, s.places),
    "sauc": lambda s: shuffled_area(s.stack, s.places, s.others),
    "sauc_mit": lambda s: shuffled_mit_area(s.stack, s.places, s.others),
    "nss": lambda s: standardised(s.stack, s.places, s.rule.ddof),
    "nss_aim": lambda s: standardised(s.stack, s.places, 0, AIM_EPS),
    "ig": lambda s: s.likelihood - s.baseline_likelihood,
    "ig_mit": lambda s: gain_in_bits(s.stack, _only(s.baseline.maps.exp()), s.places, s.rule.eps),
    "log_likelihood": lambda s: s.likelihood,
    "cc": lambda s: correlation(s.stack, s.truth),
    "kld": lambda s: divergence(s.stack, s.truth, s.rule.eps),
    "sim": lambda s: intersection(s.stack, s.truth),
    "sim_mit": lambda s: stretched_intersection(s.stack, s.truth),
    "emd": lambda s: least_work(s.stack, s.truth),
}
"""Metric → its value, (1,), the arguments having been checked."""


def _first_of_each(values: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct values, ascending, and where each occurs first."""
    distinct, inverse = values.unique(return_inverse=True)
    first = torch.full((len(distinct),), len(values), dtype=torch.int64, device=values.device)
    position = torch.arange(len(values), device=values.device)
    return distinct, first.scatter_reduce(0, inverse, position, "amin")


def resized(maps: Tensor, size: tuple[int, int], rule: Resize) -> Tensor:
    """(M, H, W) → (M, h, w).

    Args:
        maps: float64.
        size: (h, w).
        rule: ``bilinear`` as ``cv2.resize`` (pixel centres aligned, no low-pass) or ``bicubic_antialias`` as
            MATLAB's ``imresize``.
    """
    if rule == "bilinear":
        return nnf.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
    if rule == "bicubic_antialias":
        return nnf.interpolate(maps[None], size=size, mode="bicubic", align_corners=False, antialias=True)[0]
    raise ValueError(f"resize={rule!r} is none of 'bilinear', 'bicubic_antialias'")

"""Input that leaves a metric undefined, or nearly: a defined answer or an error, never a plausible number."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saliency_pred.density import fixation_density, normalise
from saliency_pred.fixations import Fixations
from saliency_pred.metrics import functional as F

SIZE = (12, 17)
GENERATOR = torch.Generator().manual_seed(3)
MAP = torch.rand(1, *SIZE, generator=GENERATOR, dtype=torch.float64)
FIXATIONS = Fixations.of([1.5, 4.2, 16.9, 4.8], [0.0, 11.9, 5.5, 11.1], SIZE)
OTHERS = Fixations.of([8.5, 2.5, 9.9], [6.5, 6.5, 1.0], SIZE)
DENSITY = fixation_density(FIXATIONS, 2.0, dtype=torch.float64)[0]
BASELINE = fixation_density(OTHERS, 4.0, "reflect", dtype=torch.float64)[0]

Metric = Callable[[Tensor, Fixations], Tensor]


def logs(maps: object) -> Tensor:
    """Log densities of maps; anything that is no map is left for the metric to refuse."""
    if isinstance(maps, Tensor) and maps.is_floating_point() and maps.ndim == 3 and maps.isfinite().all():
        return maps.flatten(1).log_softmax(1).reshape(maps.shape)
    return maps  # type: ignore[return-value]


AREAS: dict[str, Metric] = {
    "auc": F.auc,
    "auc_judd": F.auc_judd,
    "auc_judd_mit": F.auc_judd_mit,
    "auc_borji": F.auc_borji,
    "sauc": lambda maps, fixations: F.sauc(maps, fixations, _copies(OTHERS, len(maps))),
    "sauc_mit": lambda maps, fixations: F.sauc_mit(maps, fixations, _copies(OTHERS, len(maps))),
}
POINTWISE: dict[str, Metric] = {
    "nss": F.nss,
    "ig": lambda maps, fixations: F.ig(logs(maps), BASELINE.log().expand_as(maps), fixations),
    "ig_mit": lambda maps, fixations: F.ig_mit(maps, BASELINE.expand_as(maps), fixations),
    "log_likelihood": lambda maps, fixations: F.log_likelihood(logs(maps), fixations),
}
MAPWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cc": F.cc,
    "kld": F.kld,
    "sim": F.sim,
    "sim_mit": F.sim_mit,
    "emd": lambda maps, density: F.emd(maps, density, shrink=4),
}
OF_FIXATIONS = AREAS | POINTWISE
EVERY: dict[str, Callable[[Tensor, Fixations, Tensor], Tensor]] = {
    **{name: (lambda m, f, d, metric=metric: metric(m, f)) for name, metric in OF_FIXATIONS.items()},
    **{name: (lambda m, f, d, metric=metric: metric(m, d)) for name, metric in MAPWISE.items()},
}


def _copies(fixations: Fixations, number: int) -> Fixations:
    return Fixations.cat([fixations] * number)


@pytest.mark.parametrize("name", AREAS)
@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-9])
def test_constant_map_is_at_chance(name: str, value: float) -> None:
    assert float(AREAS[name](torch.full_like(MAP, value), FIXATIONS)) == 0.5


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0])  # .1 has no exact mean in floating point
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_map_elsewhere(value: float, dtype: torch.dtype) -> None:
    constant = torch.full_like(MAP, value, dtype=dtype)
    uniform = torch.full_like(MAP, 1 / MAP.numel())
    density = DENSITY.to(dtype)
    assert float(F.nss(constant, FIXATIONS)) == 0
    assert float(F.cc(constant, density)) == 0
    assert float(F.cc(density, constant + 1)) == 0
    expected = float((DENSITY * (DENSITY * MAP.numel()).log()).nansum())
    assert float(F.kld(constant, density)) == pytest.approx(expected, rel=1e-5)
    for metric in (F.sim, F.sim_mit, lambda a, b: F.emd(a, b, shrink=1)):
        assert float(metric(constant, density)) == pytest.approx(float(metric(uniform.to(dtype), density)), rel=1e-6)
    assert float(F.ig_mit(constant, BASELINE, FIXATIONS)) == pytest.approx(
        float(F.ig_mit(uniform, BASELINE, FIXATIONS))
    )


@pytest.mark.parametrize("name", OF_FIXATIONS)
def test_without_fixations_is_unscorable(name: str) -> None:
    """NaN for that map alone; its neighbour is scored."""
    both = Fixations.cat([Fixations.empty(SIZE), FIXATIONS])
    value = OF_FIXATIONS[name](MAP.expand(2, -1, -1), both)
    assert math.isnan(value[0])
    assert value[1] == OF_FIXATIONS[name](MAP, FIXATIONS)


@pytest.mark.parametrize("metric", [F.sauc, F.sauc_mit])
def test_without_negatives_is_unscorable(metric: Callable[..., Tensor]) -> None:
    assert math.isnan(metric(MAP, FIXATIONS, Fixations.empty(SIZE)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", EVERY)
def test_pixels_that_are_no_numbers(name: str, bad: float) -> None:
    """Log densities are -inf where the density is 0."""
    if name in ("ig", "log_likelihood") and bad == -math.inf:
        bad = math.nan
    broken = MAP.repeat(3, 1, 1)
    broken[1, 2, 3], broken[1, 4, 4] = bad, bad
    with pytest.raises(ValueError, match="map 1 has 2 pixels that are NaN or infinite"):
        EVERY[name](broken, _copies(FIXATIONS, 3), DENSITY.expand_as(broken))


@pytest.mark.parametrize("name", MAPWISE)
def test_broken_density(name: str) -> None:
    broken = DENSITY.clone()
    broken[0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        MAPWISE[name](MAP, broken)


@pytest.mark.parametrize("name", MAPWISE)
def test_density_of_nobody(name: str) -> None:
    density = torch.cat([DENSITY, torch.zeros_like(DENSITY)])
    with pytest.raises(ValueError, match="human density of map 1 is zero everywhere"):
        MAPWISE[name](MAP.expand(2, -1, -1), density)


def test_every_pixel_fixated() -> None:
    height, width = SIZE
    row, column = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    everywhere = Fixations.of(column, row, SIZE)
    assert float(F.auc(MAP, everywhere)) == 0.5
    assert math.isnan(F.auc_judd(MAP, everywhere))
    assert math.isnan(F.auc_judd_mit(MAP, everywhere))
    assert float(F.auc_borji(MAP, everywhere)) == pytest.approx(0.5, abs=1e-15)
    assert float(F.nss(MAP, everywhere)) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("name", OF_FIXATIONS)
def test_fixation_outside(name: str) -> None:
    """Refused, never wrapped round; the caller drops or clips and is told how many."""
    outside = Fixations.of([1.5, 17.0, -0.1], [2.5, 3.5, 3.5], SIZE)
    with pytest.raises(ValueError, match="2 of 3 fixations lie outside"):
        OF_FIXATIONS[name](MAP, outside)
    inside, count = outside.clean("drop")
    assert count == 2
    assert OF_FIXATIONS[name](MAP, inside) == OF_FIXATIONS[name](MAP, Fixations.of([1.5], [2.5], SIZE))


@pytest.mark.parametrize("name", OF_FIXATIONS)
def test_other_size_of_fixations(name: str) -> None:
    with pytest.raises(ValueError, match="maps are"):
        OF_FIXATIONS[name](MAP, Fixations.of([1.5], [2.5], (13, 17)))
    with pytest.raises(ValueError, match="1 maps but fixations of 2"):
        OF_FIXATIONS[name](MAP, _copies(FIXATIONS, 2))


@pytest.mark.parametrize("name", MAPWISE)
def test_other_size_of_density(name: str) -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        MAPWISE[name](MAP, DENSITY[:, 1:])


def test_negative_maps() -> None:
    """Order and standardisation ignore a shift; densities are made by shifting the lowest value to 0."""
    negative = MAP - 2
    shifted = MAP - MAP.min()
    for name, metric in (AREAS | {"nss": F.nss}).items():
        assert float(metric(negative, FIXATIONS)) == pytest.approx(float(metric(MAP, FIXATIONS)), abs=1e-12), name
    for name, density_metric in MAPWISE.items():
        expected = float(density_metric(shifted, DENSITY))
        assert float(density_metric(negative, DENSITY)) == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8, torch.int64])
def test_types_that_lose_the_value(name: str, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"floating-point|float32 or float64"):
        EVERY[name](MAP.to(dtype), FIXATIONS, DENSITY)


@pytest.mark.parametrize("name", OF_FIXATIONS)
@pytest.mark.parametrize("wrong", [DENSITY, DENSITY.numpy(), [(1, 2)]], ids=["density", "array", "list"])
def test_density_in_place_of_fixations(name: str, wrong: object) -> None:
    with pytest.raises(TypeError, match="must be Fixations"):
        OF_FIXATIONS[name](MAP, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", [F.sauc, F.sauc_mit])
def test_density_in_place_of_negatives(metric: Callable[..., Tensor]) -> None:
    with pytest.raises(TypeError, match="negatives must be Fixations"):
        metric(MAP, FIXATIONS, DENSITY)


@pytest.mark.parametrize("name", MAPWISE)
def test_fixations_in_place_of_density(name: str) -> None:
    with pytest.raises(TypeError, match="density map is needed, got Fixations"):
        MAPWISE[name](MAP, FIXATIONS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="maps must be"):
        MAPWISE[name](FIXATIONS, DENSITY)  # type: ignore[arg-type]


def test_map_in_place_of_fixations_and_arrays() -> None:
    with pytest.raises(TypeError, match="maps must be"):
        F.auc(MAP.numpy(), FIXATIONS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"maps must be .* got \(12, 17\)"):
        F.auc(MAP[0], FIXATIONS)


def test_no_maps() -> None:
    none = Fixations.empty(SIZE)._replace(size=torch.zeros(0, 2, dtype=torch.int64))
    maps = MAP[:0]
    for metric in (F.auc, F.auc_judd, F.auc_judd_mit, F.auc_borji, F.nss, F.log_likelihood):
        assert metric(maps, none).shape == (0,)
    for density_metric in MAPWISE.values():
        assert density_metric(maps, DENSITY[:0]).shape == (0,)


@pytest.mark.parametrize("scale", [1e-30, 1e-200, 1e200])
def test_scale_of_the_values(scale: float) -> None:
    """Densities of large images are tiny; products of them must not vanish."""
    for name, metric in (AREAS | {"nss": F.nss}).items():
        assert float(metric(MAP * scale, FIXATIONS)) == pytest.approx(float(metric(MAP, FIXATIONS)), rel=1e-12), name
    assert float(F.cc(MAP * scale, DENSITY)) == pytest.approx(float(F.cc(MAP, DENSITY)), rel=1e-12)
    assert float(F.sim(MAP * scale, DENSITY)) == pytest.approx(float(F.sim(MAP, DENSITY)), rel=1e-12)


def test_impossible_fixation() -> None:
    """A density of 0 at a fixation is a loss without bound, and said to be."""
    log_density = normalise((MAP > 0.5).double()).log()
    zero = (log_density[0] == -math.inf).nonzero()[0]
    there = Fixations.of([float(zero[1]) + 0.5], [float(zero[0]) + 0.5], SIZE)
    assert float(F.ig(log_density, BASELINE.log(), there)) == -math.inf
    assert float(F.log_likelihood(log_density, there)) == -math.inf
    with pytest.raises(ValueError, match=r"baseline_log_density is -inf at fixations of map 0 .* mix a small uniform"):
        F.ig(BASELINE.log(), log_density, there)


@pytest.mark.parametrize("scale", [1 + 2e-3, 1 - 2e-3, 255.0, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_density_that_is_none(scale: float, dtype: torch.dtype) -> None:
    """Maps, bits, or logarithms of maps that were not divided by their sum; a thousandth is forgiven."""
    right = BASELINE.log().to(dtype)
    wrong = torch.cat([right, (BASELINE * scale).log().to(dtype)])
    with pytest.raises(ValueError, match=r"^log_density: map 1 is no log density, the logarithm of its sum is"):
        F.log_likelihood(wrong, _copies(FIXATIONS, 2))
    with pytest.raises(ValueError, match=r"^baseline_log_density: map 1 is no log density"):
        F.ig(right.expand(2, -1, -1), wrong, _copies(FIXATIONS, 2))
    almost = (BASELINE * (1 + 0.5e-3)).log().to(dtype)
    assert float(F.log_likelihood(almost, FIXATIONS)) == pytest.approx(
        float(F.log_likelihood(right, FIXATIONS)) + math.log2(1 + 0.5e-3), abs=1e-5
    )


@pytest.mark.parametrize("name", MAPWISE)
def test_negative_density(name: str) -> None:
    """A map is shifted, a human density that is none is an error."""
    density = torch.cat([DENSITY, DENSITY])
    density[1, 0, :2] = -1e-9
    with pytest.raises(ValueError, match="human density of map 1 has 2 negative pixels"):
        MAPWISE[name](MAP.expand(2, -1, -1), density)


@pytest.mark.parametrize("shrink", [0, -1, 2.5])
def test_shrink_that_is_none(shrink: float) -> None:
    with pytest.raises(ValueError, match="shrink must be an integer of at least 1"):
        F.emd(MAP, DENSITY, shrink=shrink)  # type: ignore[arg-type]


def test_no_pixels() -> None:
    with pytest.raises(ValueError, match="no pixels"):
        F.nss(MAP[:, :0], Fixations.empty((0, 17)))


def test_gradients_are_left_behind() -> None:
    """Scores of what a network just made: no history, and no error where NumPy is asked."""
    maps = MAP.clone().requires_grad_()
    for name, metric in EVERY.items():
        value = metric(maps, FIXATIONS, DENSITY)
        assert not value.requires_grad, name
        assert float(value) == float(metric(MAP, FIXATIONS, DENSITY)), name


INPUTS = {
    "usual": (MAP, FIXATIONS, DENSITY),
    "constant": (torch.full_like(MAP, 0.1), FIXATIONS, DENSITY),
    "zero": (torch.zeros_like(MAP), FIXATIONS, DENSITY),
    "negative": (MAP - 2, FIXATIONS, DENSITY),
    "ties": ((4 * MAP).round(), FIXATIONS, DENSITY),
    "tiny": (MAP * 1e-200, FIXATIONS, DENSITY),
    "constant density": (MAP, FIXATIONS, torch.full_like(MAP, 0.1)),
    "no fixations": (MAP, Fixations.empty(SIZE), DENSITY),
    "one pixel": (MAP, Fixations.of([3.5] * 5, [4.5] * 5, SIZE), DENSITY),
    "NaN": (MAP.where(MAP.max() > MAP, math.nan), FIXATIONS, DENSITY),
    "infinite": (MAP.where(MAP.max() > MAP, math.inf), FIXATIONS, DENSITY),
    "density of nobody": (MAP, FIXATIONS, torch.zeros_like(MAP)),
    "negative density": (MAP, FIXATIONS, -DENSITY),
    "outside": (MAP, Fixations.of([1.5, 17.0], [2.5, 3.5], SIZE), DENSITY),
}


def outcome(name: str, maps: Tensor, fixations: Fixations, density: Tensor, device: str) -> float | str:
    """A value or an error's message, of metrics that get everything on one device."""
    others, baseline = _copies(OTHERS, len(maps)).to(device), BASELINE.to(device, maps.dtype)
    here: dict[str, Metric] = {
        "sauc": lambda m, f: F.sauc(m, f, others),
        "sauc_mit": lambda m, f: F.sauc_mit(m, f, others),
        "ig": lambda m, f: F.ig(logs(m), baseline.log(), f),
        "ig_mit": lambda m, f: F.ig_mit(m, baseline, f),
    }
    try:
        if name in MAPWISE:
            return float(MAPWISE[name](maps.to(device), density.to(device)))
        return float((here.get(name) or OF_FIXATIONS[name])(maps.to(device), fixations.to(device)))
    except ValueError as error:
        return str(error)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EVERY)
def test_the_same_on_a_gpu(name: str, dtype: torch.dtype) -> None:
    """Values and errors; areas to the last bit."""
    for what, (maps, fixations, density) in INPUTS.items():
        cpu, gpu = (outcome(name, maps.to(dtype), fixations, density.to(dtype), d) for d in ("cpu", "cuda"))
        if isinstance(cpu, str) or name in AREAS:
            assert gpu == cpu or (cpu != cpu and gpu != gpu), (what, cpu, gpu)  # NaN is not equal to itself
        else:
            tolerance = 1e-11 if dtype is torch.float64 else 2e-6
            assert gpu == pytest.approx(cpu, rel=tolerance, abs=tolerance, nan_ok=True), what


@pytest.mark.parametrize("name", EVERY)
def test_every_input_has_an_outcome(name: str) -> None:
    """The table of inputs above, on the processor: a number in range, NaN where undefined, or a named error."""
    of_fixations = name in OF_FIXATIONS
    for what, given in INPUTS.items():
        found = outcome(name, *given, "cpu")
        if what in ("NaN", "infinite"):
            assert "map 0 has 1 pixels that are NaN or infinite" in str(found), what
        elif what == "outside" and of_fixations:
            assert "1 of 2 fixations lie outside" in str(found)
        elif what in ("density of nobody", "negative density") and not of_fixations:
            assert "human density of map 0" in str(found), what
        elif what == "no fixations" and of_fixations:
            assert isinstance(found, float)
            assert math.isnan(found)
        else:
            assert isinstance(found, float), (what, found)
            assert math.isfinite(found), (what, found)
            if name in AREAS:
                assert 0 <= found <= 1, what

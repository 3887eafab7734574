"""From a data set to batches: images and fixations move together, whoever loads them."""

from __future__ import annotations

import math
import pickle

import albumentations as A
import numpy as np
import pytest
import torch

from saliency_pred.batch import Batch
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.dataset import DOMAINS, SaliencyDataset
from saliency_pred.data.placement import Placement
from saliency_pred.data.samplers import EvaluationBatches, TrainSampler
from saliency_pred.data.splits import split_indices
from saliency_pred.data.transforms import Augmentation
from saliency_pred.evaluation.run import score_baseline
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.fixations import Fixations


class Dots(SaliencyDataset):
    """Dark images with a bright blob under each fixation."""

    name = "dots"
    blur_sigma = 3.0

    def __init__(self, count: int = 6, maps_only: bool = False) -> None:
        super().__init__(".", "4/2")
        self.image_ids = [f"dots{i}" for i in range(count)]
        self.maps_only = maps_only

    def size(self, index: int) -> tuple[int, int]:
        return (61 + 8 * index, 97 - 6 * index)

    def fixations(self, index: int) -> Fixations | None:
        if self.maps_only:
            return None
        height, width = self.size(index)
        rng = np.random.default_rng(index)
        x, y = rng.uniform(9, width - 9, 3), rng.uniform(9, height - 9, 3)
        return Fixations.of(x, y, (height, width), time=[0.2, 0.9, 1.7], viewer=[0, 0, 1])

    def image(self, index: int) -> np.ndarray:
        height, width = self.size(index)
        image = np.zeros((height, width, 3), np.uint8)
        rng = np.random.default_rng(index)
        for x, y in zip(rng.uniform(9, width - 9, 3), rng.uniform(9, height - 9, 3), strict=True):
            yy, xx = np.mgrid[:height, :width] + 0.5
            image[(yy - y) ** 2 + (xx - x) ** 2 <= 9] = 255
        return image

    def density(self, index: int) -> torch.Tensor | None:
        generator = torch.Generator().manual_seed(index)
        return torch.rand(1, *self.size(index), generator=generator) if self.maps_only else None


def brightness_at_fixations(batch: Batch) -> torch.Tensor:
    assert batch.fixations is not None
    row, column = batch.fixations.pixels()
    return batch.image[batch.fixations.sample, 0, row, column]


def test_blobs_lie_under_the_fixations() -> None:
    dataset = Dots()
    for i in range(6):
        fixations = dataset.clean_fixations(i)
        assert fixations is not None
        row, column = fixations.pixels()
        assert (dataset.image(i)[row, column] == 255).all()


@pytest.mark.parametrize("resize", ["pad", "stretch"])
@pytest.mark.parametrize("size", [(64, 64), (45, 90), (96, 51)])
def test_resizing_keeps_fixations_on_their_blobs(resize: str, size: tuple[int, int]) -> None:
    module = SaliencyDataModule(Dots(), size, resize=resize, batch_size=3)  # type: ignore[arg-type]
    for batch in module.evaluation_dataloader("train"):
        assert batch.image.shape[-2:] == size
        assert brightness_at_fixations(batch).min() > 0.5
        if resize == "stretch":
            assert batch.valid.all()
        else:
            assert torch.all(batch.image.permute(0, 2, 3, 1)[~batch.valid] == 126 / 255)


def test_fitted_images_keep_their_shape_up_to_rounding_and_come_in_batches_of_one_shape() -> None:
    module = SaliencyDataModule(Dots(), (96, 128), resize="fit", batch_size=4, cache="ram")
    # (61, 97), (69, 91), (77, 85), (85, 79): 96 rows or 128 columns, whichever comes first, in steps of 32.
    expected = {"dots0": (96, 128), "dots1": (96, 128), "dots2": (96, 96), "dots3": (96, 96)}
    expected |= {"dots4": (96, 64), "dots5": (96, 64)}
    for epoch in range(2):  # the second one from the cache
        loader = module.train_dataloader()
        loader.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        batches = list(loader)
        names = sorted(name for batch in batches for name in batch.image_id)
        assert names == sorted(module.dataset.image_ids[i] for i in module.parts["train"])
        assert len(batches) == len(loader) == len({expected[name] for name in names})
        for batch in batches:
            assert {expected[name] for name in batch.image_id} == {batch.size}
            assert batch.valid.all()
            assert brightness_at_fixations(batch).min() > 0.5


def test_an_image_is_placed_alike_before_and_after_it_was_cached_small() -> None:
    for original in ((768, 1024), (1024, 768), (683, 1024), (256, 256), (1, 5000), (3000, 7), (480, 640)):
        place = Placement.of(original, (384, 384), "fit")
        assert max(place.grid) == 384
        assert min(place.grid) >= 32
        assert {n % 32 for n in place.grid} == {0}
        assert Placement.of(place.grid, (384, 384), "fit") == place


def test_a_named_data_set_is_a_domain_of_its_own() -> None:
    kind = SaliencyDataModule(Dots(), (48, 64)).single(0).domain
    named = SaliencyDataModule(Dots(), (48, 64), domains=["osie", "dots"]).single(0).domain
    assert kind.tolist() == [DOMAINS["natural-eye"]]
    assert named.tolist() == [len(DOMAINS) + 1]


def test_fitting_refuses_what_it_cannot_share_out() -> None:
    dataset = Dots()
    dataset.sampling_weight = lambda index: 1.0  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"weights=null"):
        SaliencyDataModule(dataset, (96, 128), resize="fit").train_dataloader()
    with pytest.raises(ValueError, match=r"32 pixels or more, got \[16, 128\]"):
        SaliencyDataModule(Dots(), (16, 128), resize="fit").single(0)


def test_augmentation_keeps_fixations_on_their_blobs_and_depends_on_seed_epoch_and_image_alone() -> None:
    transforms = [
        A.HorizontalFlip(p=0.5),
        A.RandomCropFromBorders(crop_left=0.2, crop_right=0.2, crop_top=0.2, crop_bottom=0.2, p=1.0),
        A.ColorJitter(brightness=(0.9, 1.1), p=0.5),
    ]

    def epoch(number: int, workers: int) -> list[Batch]:
        module = SaliencyDataModule(Dots(), (64, 64), batch_size=1, augment=transforms, workers=workers)
        loader = module.train_dataloader()
        loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
        return list(loader)

    first = epoch(0, 0)
    assert all(len(b.fixations) == 0 or brightness_at_fixations(b).min() > 0.4 for b in first if b.fixations)
    for workers in (1, 2):  # albumentations gives every worker the same random numbers if it is not told better
        for a, b in zip(first, epoch(0, workers), strict=True):
            assert a.image_id == b.image_id
            assert torch.equal(a.image, b.image)
    by_name = {b.image_id[0]: b.image for b in first}
    assert any(not torch.equal(by_name[b.image_id[0]], b.image) for b in epoch(1, 0))


def test_crops_drop_the_fixations_outside_and_keep_what_is_known_of_the_others() -> None:
    augmentation = Augmentation([A.Crop(x_min=20, y_min=0, x_max=80, y_max=50)])
    fixations = Fixations.of([10.0, 30.2, 79.9], [5.0, 6.7, 49.9], (60, 100), time=[0, 1, 2], viewer=[4, 5, 6])
    _, kept, _ = augmentation(np.zeros((60, 100, 3), np.uint8), fixations, None, (0, 0))
    assert kept is not None
    assert kept.x.tolist() == pytest.approx([10.2, 59.9])
    assert kept.y.tolist() == pytest.approx([6.7, 49.9])
    assert (kept.time.tolist(), kept.viewer.tolist(), kept.size.tolist()) == ([1, 2], [5, 6], [[50, 60]])


def test_scoring_gets_the_originals_exactly() -> None:
    dataset = Dots()
    module = SaliencyDataModule(dataset, (50, 70), batch_size=2, windows=[[0, 1], [1, 2]])
    for batch in module.val_dataloader():
        assert batch.original_fixations is not None
        for i, name in enumerate(batch.image_id):
            index = dataset.image_ids.index(name)
            exact = dataset.fixations(index)
            mine = batch.original_fixations.of_sample(i)
            assert exact is not None
            assert torch.equal(mine.x.sort().values, exact.x.sort().values)
            assert tuple(batch.original_size[i].tolist()) == dataset.size(index)
            assert mine.counts.tolist() == [2, 1], "two onsets in the first second, one in the next"


def test_cache_gives_the_same_images_and_is_shared_with_workers() -> None:
    plain = SaliencyDataModule(Dots(), (50, 70), batch_size=2)
    cached = SaliencyDataModule(Dots(), (50, 70), batch_size=2, cache="ram", workers=1)
    for _ in range(2):
        for a, b in zip(plain.val_dataloader(), cached.val_dataloader(), strict=True):
            assert torch.equal(a.image, b.image)
            assert a.fixations is not None
            assert b.fixations is not None
            torch.testing.assert_close(a.fixations.x, b.fixations.x, rtol=1e-12, atol=0)
    from saliency_pred.data.datamodule import CachedImages

    assert isinstance(cached.cached_images, CachedImages)
    assert sum(cached.cached_images.get(i) is not None for i in range(6)) == 2


def test_sets_that_ship_only_maps_bring_maps() -> None:
    module = SaliencyDataModule(Dots(maps_only=True), (50, 70), batch_size=2)
    batch = next(iter(module.val_dataloader()))
    assert batch.fixations is None
    assert batch.density is not None
    torch.testing.assert_close(batch.density.sum((-2, -1)), torch.ones(2, 1))
    assert (batch.density.permute(0, 2, 3, 1)[~batch.valid] == 0).all()
    assert module.centre_bias() is None


def test_data_travel_to_spawned_workers() -> None:
    assert len(pickle.loads(pickle.dumps(Dots()))) == 6


def test_batches_are_held_to_the_contract() -> None:
    batch = SaliencyDataModule(Dots(), (50, 70), batch_size=2).single(0)
    batch.valid = batch.valid.float()
    with pytest.raises(ValueError, match=r"batch\.valid must be torch\.bool"):
        batch.check()


@pytest.mark.parametrize(
    ("split", "sizes"), [("140/40", (140, 40)), (".78/.22", (140, 40)), ("0.5/0.25/0.25", (90, 45, 45))]
)
def test_splits_are_disjoint_and_depend_on_names_and_seed_alone(split: str, sizes: tuple[int, ...]) -> None:
    names = [f"{i:04d}" for i in range(180)]
    parts = split_indices(names, split, seed=3)
    assert tuple(map(len, parts.values())) == sizes
    assert len(set().union(*parts.values())) == sum(sizes)
    turned = split_indices(names[::-1], split, seed=3)
    assert {names[::-1][i] for i in turned["val"]} == {names[i] for i in parts["val"]}
    assert split_indices(names, split, seed=4) != parts


def test_folds_cover_everything_once() -> None:
    names = [str(i) for i in range(23)]
    held_out = [i for fold in range(5) for i in split_indices(names, f"5-fold-{fold}")["val"]]
    assert sorted(held_out) == list(range(23))


def test_samplers_partition_by_rank_and_never_pad_scoring() -> None:
    orders = [list(TrainSampler(range(11), seed=5, rank=r, world_size=2)) for r in (0, 1)]
    alone = list(TrainSampler(range(11), seed=5))
    assert [key for pair in zip(*orders, strict=True) for key in pair] == alone[:10]
    later = TrainSampler(range(11), seed=5)
    later.set_epoch(1)
    assert [i for _, i in later] != [i for _, i in alone]
    assert all(epoch == 1 for epoch, _ in later)
    scored = [i for r in range(3) for batch in EvaluationBatches(range(5), 2, r, 3) for _, i in batch]
    assert sorted(scored) == list(range(5))


def test_placement_of_extreme_shapes() -> None:
    place = Placement.of((1, 5000), (288, 384), "pad")
    assert place.size == (1, 384)
    assert place.valid().sum() == 384
    assert not math.isnan(place.image(np.zeros((1, 5000, 3), np.uint8)).mean())


@pytest.mark.parametrize("cache", ["none", "ram"])
@pytest.mark.parametrize("maps_only", [False, True])
def test_what_is_augmented_from_a_cache_is_what_is_augmented_from_disk(cache: str, maps_only: bool) -> None:
    """A cache holds small images; what belongs to them, shipped maps too, is augmented at their size."""

    def module(**options: object) -> SaliencyDataModule:
        return SaliencyDataModule(Dots(maps_only=maps_only), (50, 70), "stretch", 1, **options)  # type: ignore[arg-type]

    flipped, plain = module(augment=[A.HorizontalFlip(p=1.0)], cache=cache), module()
    for _ in range(2):  # the second time from the cache
        for a, b in zip(flipped.train_dataloader(), plain.train_dataloader(), strict=True):
            assert a.image_id == b.image_id
            assert (a.image - b.image.flip(-1)).abs().max() <= 1.01 / 255  # one grey level of rounding
            if a.density is not None and b.density is not None:
                torch.testing.assert_close(a.density, b.density.flip(-1), rtol=1e-4, atol=1e-8)
            else:
                assert a.fixations is not None
                assert b.fixations is not None
                torch.testing.assert_close(a.fixations.x, b.fixations.flip().x, rtol=0, atol=1e-4)
            assert (a.density is not None) == maps_only


def test_workers_change_nothing_of_what_is_scored() -> None:
    def all_of(workers: int) -> list[Batch]:
        return list(SaliencyDataModule(Dots(), (50, 70), batch_size=2, workers=workers).evaluation_dataloader("train"))

    for a, b in zip(all_of(0), all_of(2), strict=True):
        assert a.image_id == b.image_id
        assert torch.equal(a.image, b.image)
        assert a.fixations is not None
        assert b.fixations is not None
        assert torch.equal(a.fixations.x, b.fixations.x)


class At(Dots):
    """One onset per image, exactly where a window starts."""

    def fixations(self, index: int) -> Fixations | None:
        return Fixations.of([20.0], [20.0], self.size(index), time=[1.205])


def test_an_onset_on_a_bound_is_in_the_window_that_starts_there() -> None:
    """1.205 in float32 is larger than in float64: windows must not be rounded before onsets are compared."""
    module = SaliencyDataModule(At(), (50, 70), windows=[[0, 1.205], [1.205, 2.057]])
    batch = module.single(0)
    assert batch.windows.dtype == torch.float32
    for fixations in (batch.fixations, batch.original_fixations, module.window_fixations(0)):
        assert fixations is not None
        assert fixations.window.tolist() == [1]


@pytest.mark.parametrize("windows", [[[1, 0]], [[0, 0]], [0, 1], [[0, math.nan]]])
def test_windows_that_cannot_be(windows: list) -> None:
    with pytest.raises(ValueError, match=r"loader\.windows must list \[start, end\] pairs"):
        SaliencyDataModule(Dots(), (50, 70), windows=windows)


def test_a_part_that_the_split_has_not_is_named() -> None:
    module = SaliencyDataModule(Dots(), (50, 70))
    with pytest.raises(ValueError, match="has no part 'test', it has train, val"):
        module.evaluation_dataloader("test")
    with pytest.raises(ValueError, match="has no part 'test'"):
        score_baseline("uniform", module, "test", Scorer(module.centre_bias()))


def test_blur_and_degrees_are_in_pixels_of_the_grid_and_may_be_unknown() -> None:
    dataset = Dots()
    batch = SaliencyDataModule(dataset, (61, 194)).single(0)  # 61 x 97 is placed unscaled
    assert batch.blur_sigma.tolist() == [3.0]
    assert batch.pixel_per_dva.isnan().all()
    half = SaliencyDataModule(dataset, (31, 49), resize="stretch", blur_sigma=10.0, cache="ram")
    for _ in range(2):
        assert half.single(0).blur_sigma.item() == pytest.approx(10 * 49 / 97)
    dataset.blur_sigma = math.nan  # type: ignore[misc]
    assert SaliencyDataModule(dataset, (61, 97)).single(0).blur_sigma.isnan().all()
    dataset.pixel_per_dva = 24.0  # type: ignore[misc]
    assert SaliencyDataModule(dataset, (61, 97)).single(0).blur_sigma.item() == 24, "one degree"

"""Is a data set complete and whole? Every file is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2

from saliency_pred.data.catalogue import CATALOGUE
from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.manifest import compare, load_manifest
from saliency_pred.data.videos import VideoDataset

_FRAMES_AT_ONCE = 64
"""So many frames of a video are held in memory while it is looked through."""


@dataclass
class Verification:
    """What was found.

    Attributes:
        images, fixations, outside: how many there are; ``outside`` counts fixations outside their image.
        viewers: most on one image.
        edition: what the copy was recognised as; empty where there is only one.
        checksums: which files were compared with the release's checksums; says so too where none are known.
        broken: image or file → what is wrong with it.
        incomplete: what a complete release has and this copy has not.
        remarks: what is odd but safe to go on with.
    """

    images: int = 0
    fixations: int = 0
    outside: int = 0
    viewers: int = 0
    edition: str = ""
    checksums: str = ""
    broken: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged and nothing is missing."""
        return not self.broken and not self.incomplete


def verify(
    dataset: SaliencyDataset,
    name: str,
    workers: int = 2,
    step: Callable[[], object] = lambda: None,
) -> Verification:
    """Decode every image, read every fixation and map, count, and compare checksums where they are known.

    Args:
        dataset: opened; what its loader found wrong becomes part of the result.
        name: in the catalogue; a set that is not there has no expected numbers.
        workers: threads that decode.
        step: called after each image and each compared file (:func:`steps` tells how often).
    """
    found = Verification(images=len(dataset), edition=edition(dataset))
    cv2.setNumThreads(0)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for image_id, problem, counts in pool.map(lambda i: _look(dataset, i), range(len(dataset))):
            if problem:
                found.broken[image_id] = problem
            total, outside, viewers = counts
            found.fixations += total
            found.outside += outside
            found.viewers = max(found.viewers, viewers)
            step()
    for issue, where in dataset.issues.items():
        some = ", ".join(where[:3]) + (" ..." if len(where) > 3 else "")
        found.remarks.append(f"{len(where)} x {issue} ({some})")
    if found.outside:
        found.remarks.append(f"{found.outside} fixations lie outside their image (data.outside={dataset.outside})")
    _compare_counts(dataset, name, found)
    _compare_contents(dataset, name, found, step)
    return found


def steps(dataset: SaliencyDataset, name: str) -> int:
    """How often :func:`verify` calls ``step``."""
    manifest = manifest_of(dataset, name)
    return len(dataset) + (len(manifest[1]) if manifest else 0)


def edition(dataset: SaliencyDataset) -> str:
    """What a copy was recognised as, of a set that exists in several forms."""
    if dataset.name == "mit1003":
        if getattr(dataset, "viewers", []):
            return "the original release, with raw samples"
        return "the packaging of NUS VIP (durations, no onsets)"
    stated = getattr(dataset, "edition", None)
    if stated is not None:
        return f"taken for edition {stated}, as data.edition says; the files of both editions look alike"
    return ""


def manifest_of(dataset: SaliencyDataset, name: str) -> tuple[str, dict[str, str]] | None:
    """Name and content of the list of checksums that this copy can be compared with."""
    if name not in CATALOGUE or edition(dataset).startswith("the original"):
        return None
    names = [s.manifest for s in CATALOGUE[name].sources if s.manifest is not None]
    if not names:
        return None
    contents = load_manifest(names[0])
    if name == "osie_mouse":
        contents = {p: c for p, c in contents.items() if "/stimuli/" in p}
    if names[0] == "bubbleview":
        own = "fiwi" if name == "fiwi_bubbleview" else "salicon"
        contents = {p: c for p, c in contents.items() if own in p}
    return names[0], contents


def _look(dataset: SaliencyDataset, index: int) -> tuple[str, str, tuple[int, int, int]]:
    """Read one image with all that belongs to it: its name, what is wrong, and counts of fixations."""
    image_id = dataset.image_ids[index]
    try:
        if isinstance(dataset, VideoDataset):
            return image_id, "", _look_through(dataset, index)
        dataset.image(index)
        fixations = dataset.fixations(index)
        dataset.density(index)
    except (OSError, ValueError) as problem:
        return image_id, str(problem), (0, 0, 0)
    if fixations is None:
        return image_id, "", (0, 0, 0)
    outside = len(fixations) - int(fixations.inside.sum())
    return image_id, "", (len(fixations), outside, len(fixations.viewers()))


def _look_through(dataset: VideoDataset, index: int) -> tuple[int, int, int]:
    """Read one video, a few frames at a time, with all that belongs to it: counts of fixations."""
    total, outside = 0, 0
    viewers: set[int] = set()
    for start in range(0, dataset.length(index), _FRAMES_AT_ONCE):
        which = range(start, min(start + _FRAMES_AT_ONCE, dataset.length(index)))
        dataset.frames(index, which)
        fixations = dataset.frame_fixations(index, which)
        dataset.frame_density(index, which)
        if fixations is not None:
            total += len(fixations)
            outside += len(fixations) - int(fixations.inside.sum())
            viewers.update(fixations.viewers())
    return total, outside, len(viewers)


def _compare_counts(dataset: SaliencyDataset, name: str, found: Verification) -> None:
    if name not in CATALOGUE:
        found.remarks.append("no release to compare the numbers with")
        return
    expected = CATALOGUE[name]
    if expected.parts:
        there = Counter(dataset.official_part(i) for i in range(len(dataset)))
        for part, images in expected.parts.items():
            if there[part] == 0:
                found.remarks.append(f"the part {part} ({images:,} images) is not there")
            elif there[part] != images:
                found.incomplete.append(f"part {part}: {there[part]:,} of {images:,} images")
    elif found.images != expected.images:
        found.incomplete.append(f"{found.images:,} of {expected.images:,} images")
    if expected.fixations is not None and not found.incomplete and not found.broken:
        kept_out = sum(len(w) for issue, w in dataset.issues.items() if issue.startswith("NaN"))
        if found.fixations != expected.fixations and not kept_out:
            found.incomplete.append(f"{found.fixations:,} fixations in place of {expected.fixations:,}")


def _compare_contents(dataset: SaliencyDataset, name: str, found: Verification, step: Callable[[], object]) -> None:
    known = manifest_of(dataset, name)
    if known is None:
        found.checksums = "no checksums of single files are published for this release"
        return
    difference = compare(dataset.root, known[1], step)
    for path in difference.changed:
        found.broken.setdefault(path, "its content is not that of the release (checksum); download it again")
    same = difference.checked - len(difference.changed)
    found.checksums = f"{same:,} of {len(known[1]):,} files are bit for bit those of the release"
    if difference.missing:
        some = ", ".join(difference.missing[:3]) + (" ..." if len(difference.missing) > 3 else "")
        found.incomplete.append(f"{len(difference.missing):,} files of the release are not there ({some})")

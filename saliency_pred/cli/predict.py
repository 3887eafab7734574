"""predict where people look in images and videos

usage: saliency predict IMAGE|VIDEO|FOLDER|PATTERN|-... [key=value ...]

  saliency predict photo.jpg
  saliency predict photos/ 'more/*.png' out=predictions write=[npy,overlay,sheet]
  find . -name '*.jpg' | saliency predict - out=predictions
  saliency predict page.png regions.logo=[20,10,180,60] regions.button=[400,520,160,48]
  saliency predict page.png regions=boxes.csv
  saliency predict old.png new.png compare=true regions=boxes.json
  saliency predict photo.jpg time=true
  saliency predict photo.jpg ckpt=runs/mine/checkpoints/best.ckpt
  saliency predict clip.mp4 write_video=[maps,npy]
  saliency predict frames/ fps=30

Without ckpt the weights that ship with the package are used. Below out:
  predictions.json   of every image: entropy, distance from the centre bias, scores of the regions
  NAME.npy           the density at the image's own size: float32, sums to 1
  NAME_heat.png      the density as colours
  NAME_overlay.jpg   the same over the image
and what else write names: png16 (NAME_density.png), hdf5 (NAME.h5), regions (NAME_regions.jpg), sheet
(contact_sheet.jpg), and with time=true gif (NAME_time.gif), apng (NAME_time.png).
Of each video:
  NAME.json          frames, settings, speed
  NAME_maps.mp4      a map a frame: 10-bit H.264 with the video's time stamps
  NAME_overlay.mp4   the same over the video
and what else write_video names: npy (NAME.npy), hdf5 (NAME.h5): log densities, float32 (F, H, W). A folder is taken
for a video if fps is given. A video that was stopped half-way goes on where it stopped.
What is there already, made with the same settings, is passed over (resume=false predicts it again). A file that
cannot be read is named and passed over; the exit code is then 2.
"""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency_pred.cli.compose import compose

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from saliency_pred.inference.predictor import Predictor
    from saliency_pred.inference.regions import Region
    from saliency_pred.inference.run import Options, Outcome

SHEET = "sheet"


def main(files: list[str], overrides: list[str]) -> int:
    """Predict every image and video, whatever becomes of the others."""
    cfg = compose("predict", [f"+{o}" if o.startswith("regions.") else o for o in overrides])
    if not files:
        raise ValueError("name at least one image, video or folder: saliency predict IMAGE... [out=DIR]")
    options = read_options(cfg)
    files, missing = expand(files)
    videos = [name for name in files if is_video(Path(name).expanduser(), cfg.fps is not None)]
    images = find_images([name for name in files if name not in videos])
    if not images and not videos:
        raise FileNotFoundError(missing[0] if missing else "the list of images is empty")

    from tqdm import tqdm

    from saliency_pred.inference.predictor import Predictor
    from saliency_pred.inference.run import compare_files, predict_files, write_sheets

    predictor = Predictor.load(
        cfg.ckpt,
        time=cfg.time,
        domain=cfg.domain,
        device=cfg.device,
        max_pixels=cfg.max_pixels,
        batch_size=cfg.batch_size,
    )
    out = Path(cfg.out)
    failures = predict_videos(predictor, videos, out, cfg)
    if not images:
        for failure in failures + missing:
            print(f"error: {failure}", file=sys.stderr)
        return 2 if failures or missing else 0
    if cfg.compare:
        outcome = compare_files(predictor, images, out, options)
    else:
        with tqdm(total=len(images), desc="predicting", unit="image", disable=None) as bar:
            outcome = predict_files(predictor, images, out, options, cfg.resume, bar.update)
    sheets = write_sheets(outcome, out) if SHEET in kinds_of(cfg) else []
    report(outcome, len(images), out, sheets)
    failures += [failure["error"] for failure in outcome.failed] + missing
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 2 if failures else 0


def read_options(cfg: DictConfig) -> Options:
    """What is to be written, from the settings.

    Raises:
        ValueError: a kind of output that does not exist, or boxes that are none.
        FileNotFoundError: there is no file with regions of this name.
    """
    from saliency_pred.inference.outputs import OUTPUTS
    from saliency_pred.inference.run import Options

    kinds = kinds_of(cfg)
    if unknown := [k for k in kinds if k not in (*OUTPUTS, SHEET)]:
        raise ValueError(f"write={unknown[0]} is none of {', '.join((*OUTPUTS, SHEET))}")
    regions = regions_in(cfg)
    wanted = [k for k in kinds if k != SHEET]
    if SHEET in kinds and "overlay" not in kinds:
        wanted.append("overlay")
    if regions and "regions" not in kinds:
        wanted.append("regions")
    if cfg.time and not {"gif", "apng"} & set(kinds):
        wanted.append("gif")
    if not cfg.time and {"gif", "apng"} & set(kinds):
        raise ValueError("an animation shows the time windows: add time=true")
    return Options(tuple(wanted), tuple(regions), bool(cfg.time))


def kinds_of(cfg: DictConfig) -> list[str]:
    """``write`` as a list: one kind may be given without brackets."""
    kinds = cfg.write
    return [kinds] if isinstance(kinds, str) else [str(kind) for kind in kinds or ()]


def regions_in(cfg: DictConfig) -> list[Region]:
    """The regions that the settings name."""
    from omegaconf import DictConfig, OmegaConf

    from saliency_pred.inference.regions import read_regions, regions_from

    if cfg.regions is None:
        return []
    if not isinstance(cfg.regions, DictConfig):
        return read_regions(str(cfg.regions))
    content: Any = OmegaConf.to_container(cfg.regions)
    return regions_from(content)


def expand(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Patterns and the list of ``-`` resolved, and what of them does not exist or is no image.

    Returns:
        images and folders that exist; messages about the others.
    """
    found: list[str] = []
    missing: list[str] = []
    listed = [line.rstrip("\n") for line in sys.stdin] if "-" in files else []
    for name in [n for f in files for n in (listed if f == "-" else [f]) if n.strip()]:
        path = Path(name).expanduser()
        if path.exists():
            found.append(name)
        elif matches := sorted(glob.glob(str(path), recursive=True)):
            found += matches
        else:
            missing.append(f"no such image or folder: {name}")
    return found, missing


def is_video(path: Path, folders: bool) -> bool:
    """Whether a path is predicted as a video: by its ending (a GIF is a picture), or as a folder of frames."""
    from saliency_pred.data.video import VIDEO_SUFFIXES

    return (path.suffix.lower() in VIDEO_SUFFIXES - {".gif"} and path.is_file()) or (folders and path.is_dir())


def predict_videos(predictor: Predictor, videos: list[str], out: Path, cfg: DictConfig) -> list[str]:
    """Predict every video and print where its results are; returns what went wrong."""
    if not videos:
        return []
    from tqdm import tqdm

    from saliency_pred.data.video import open_video
    from saliency_pred.inference.video import predict_video

    failures = []
    stems = Counter(Path(name).stem for name in videos)
    for name in videos:
        path = Path(name).expanduser()
        target = out / (path.name if stems[path.stem] > 1 else path.stem)
        try:
            video = open_video(path, fps=cfg.fps if path.is_dir() else None)
            with tqdm(total=len(video), desc=path.name, unit="frame", disable=None) as bar:
                record = predict_video(predictor, video, target, list(cfg.write_video), cfg.resume, bar.update)
        except (ValueError, OSError) as error:
            failures.append(str(error))
            continue
        speed = record["speed"]
        print(f"{path}: {record['frames']} frames, {speed['maps_per_second'] or 0:.1f} maps a second")
        for file in record["files"].values():
            print(f"  {target.with_name(file)}")
    return failures


def find_images(files: list[str]) -> list[tuple[Path, str]]:
    """Every image named or found in a named folder, with the name of its results below the output folder.

    Results are named by the stem, below the folders that a named folder has; where two images would get
    the same name, both keep their ending.

    Raises:
        FileNotFoundError: a file does not exist, or a folder has no image.
    """
    from saliency_pred.data.image import IMAGE_SUFFIXES

    found: list[tuple[Path, Path]] = []
    for name in files:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
            if not inside:
                raise FileNotFoundError(f"{path} has no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
            found += [(p, p.relative_to(path)) for p in inside]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            raise FileNotFoundError(f"no such image or folder: {path}")
    found = list({(os.path.abspath(path), relative): (path, relative) for path, relative in found}.values())
    stems = Counter(str(relative.with_suffix("")) for _, relative in found)
    whole = Counter(str(relative) for _, relative in found)
    named = []
    for path, relative in found:
        stem = str(relative.with_suffix(""))
        if stems[stem] > 1:
            stem = str(relative)
        if whole[str(relative)] > 1:
            twins = [p for p, r in found if r == relative]
            stem = str(relative.with_name(f"{_folders_apart(path, relative, twins)}_{relative.name}"))
        named.append((path, stem))
    return named


def _folders_apart(path: Path, relative: Path, twins: list[Path]) -> str:
    """As many of the folders above ``relative`` as tell this file from its twins: ``a_images``, ``b_images``."""

    def folders(one: Path) -> tuple[str, ...]:
        return Path(os.path.abspath(one)).parts[1 : -len(relative.parts)]

    mine = folders(path)
    enough = (n for n in range(1, len(mine)) if sum(folders(p)[-n:] == mine[-n:] for p in twins) == 1)
    return "_".join(mine[-next(enough, len(mine)) :])


def report(outcome: Outcome, asked: int, out: Path, sheets: list[Path]) -> None:
    """Print what was done, and the numbers where they are few."""
    new = len(outcome.records) - outcome.skipped
    already = f", {outcome.skipped} done before with the same settings" if outcome.skipped else ""
    print(f"{new} of {asked} images predicted{already}; results in {out}{os.sep}")
    for sheet in sheets:
        print(f"contact sheet  {sheet}")
    if outcome.comparison is not None:
        print(_compared(outcome.comparison))
    elif len(outcome.records) <= 5:
        for record in outcome.records:
            print(_described(record))


def _described(record: dict[str, Any]) -> str:
    numbers = [f"entropy {record['entropy']:.2f} of {record['max_entropy']:.2f} bit"]
    if record["centre_bias_distance"] is not None:
        numbers.append(f"{record['centre_bias_distance']:.2f} bit from the centre bias")
    lines = [f"{record['image']}: {', '.join(numbers)}"]
    width = max(map(len, record["regions"]), default=0)
    for name, score in record["regions"].items():
        first = "" if score["first_look"] is None else f"   first look {score['first_look']:6.1%}"
        lines.append(f"  {name:<{width}}  attention {score['attention']:6.1%}   lift {score['lift']:5.2f}{first}")
    return "\n".join(lines)


def _compared(comparison: dict[str, Any]) -> str:
    lines = [f"A  {comparison['a']}", f"B  {comparison['b']}"]
    entropy = comparison["entropy"]
    lines.append(f"entropy  {entropy['a']:.2f} to {entropy['b']:.2f} bit")
    if comparison["overlap"] is not None:
        lines.append(f"overlap  {comparison['overlap']:.1%} of the attention is in the same places")
    width = max(map(len, comparison["regions"]), default=0)
    for name, change in comparison["regions"].items():
        attention = change["attention"]
        lines.append(
            f"  {name:<{width}}  attention {attention['a']:6.1%} to {attention['b']:6.1%} "
            f"({100 * attention['delta']:+.1f} points)"
        )
    return "\n".join(lines)

"""predict where people look in images

usage: saliency predict IMAGE|FOLDER... ckpt=CKPT [out=DIR] [png16=true] [domain=NAME] [device=NAME]

  saliency predict photo.jpg ckpt=best.ckpt out=predictions
  saliency predict photos/ more/*.png ckpt=best.ckpt out=predictions png16=true

For every image, at its own size, below out:
  STEM.npy           the density: float32, sums to 1
  STEM_heat.png      the density as colours
  STEM_overlay.jpg   the same over the image
A file that cannot be read is named and passed over; the exit code is then 2.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from saliency_pred.cli.compose import compose

if TYPE_CHECKING:
    import numpy as np

    from saliency_pred.inference.prediction import Prediction


def main(files: list[str], overrides: list[str]) -> int:
    """Predict every image, whatever becomes of the others."""
    from omegaconf import OmegaConf

    cfg = compose("predict", overrides)
    if not files:
        raise ValueError("name at least one image or folder: saliency predict IMAGE... ckpt=CKPT out=DIR")
    if OmegaConf.is_missing(cfg, "ckpt"):
        raise ValueError("ckpt must be given: saliency predict IMAGE... ckpt=CKPT (saliency train prints where it is)")
    images = find_images(files)

    from tqdm import tqdm

    from saliency_pred.data.errors import BrokenFileError
    from saliency_pred.inference.predictor import Predictor

    predictor = Predictor.load(cfg.ckpt, cfg.domain, cfg.device)
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for path, name in tqdm(images, desc="predicting", unit="image", disable=None):
        try:
            prediction = predictor.predict(path)
        except BrokenFileError as error:
            failed.append(str(error))
            continue
        write(prediction, out / name, cfg.png16)
    print(f"{len(images) - len(failed)} of {len(images)} images predicted; results in {out}{os.sep}")
    for failure in failed:
        print(f"error: {failure}", file=sys.stderr)
    return 2 if failed else 0


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


def write(prediction: Prediction, target: Path, png16: bool) -> None:
    """Write the files of one image; each appears whole or not at all."""
    import io

    import numpy as np

    target.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, prediction.density)
    contents = {".npy": buffer.getvalue()}
    maps = prediction.map if prediction.map.ndim == 3 else prediction.map[None]
    for window, one in enumerate(maps):
        suffix = f"_{window + 1}" if len(maps) > 1 else ""
        contents[f"{suffix}_heat.png"] = _encoded(".png", prediction.heatmap(window)[..., ::-1])
        contents[f"{suffix}_overlay.jpg"] = _encoded(".jpg", prediction.overlay(window)[..., ::-1])
        if png16:
            contents[f"{suffix}_density.png"] = _encoded(".png", (one * 65535).round().astype(np.uint16))
    for suffix, content in contents.items():
        path = target.parent / f"{target.name}{suffix}"
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        temporary.write_bytes(content)
        os.replace(temporary, path)


def _encoded(suffix: str, picture: np.ndarray) -> bytes:
    import cv2
    import numpy as np

    done, code = cv2.imencode(suffix, np.ascontiguousarray(picture))
    if not done:
        raise OSError(f"OpenCV could not encode a {suffix} picture of {picture.shape}")
    return code.tobytes()

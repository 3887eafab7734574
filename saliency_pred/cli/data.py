"""list, check, show, download and convert data sets

usage: saliency data SUBCOMMAND [NAME] [ROOT] [key=value ...]

  saliency data list                                    what there is, how large, which licence, where to get it
  saliency data info osie                               how to get it, and the files it consists of
  saliency data info osie OSIE                          measured: viewers, durations, centre bias, gold standard
  saliency data download osie eyecrowd [root=DIR]       public sets; for the others, the steps to take
  saliency data verify osie OSIE                        complete? every image decoded, checksums where known
  saliency data show osie OSIE out=sheet.jpg            examples with their fixations and density
  saliency data convert osie OSIE out=DIR to=folder     or to=pysaliency; back: convert pysaliency DIR ...
  saliency data cache osie OSIE size=[288,384] out=DIR  decode once; then train with loader.cache=DIR

NAME is one of `saliency data list`, or folder, pysaliency, synthetic. ROOT is the folder that the release was
unpacked to. What a data set has as options is set as data.OPTION=VALUE (data.edition=2015). A download that was
interrupted goes on when the command is repeated. A folder with more than a million fixations gets
fixations/<image>.npz in place of fixations.csv. Exit code 2: a set is damaged, incomplete or cannot be had.
"""

from __future__ import annotations

import math
import os
import sys
import textwrap
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency_pred.cli.compose import compose, show

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from saliency_pred.data.catalogue import Facts, Source
    from saliency_pred.data.dataset import SaliencyDataset
    from saliency_pred.data.describe import Description, Spread

SUBCOMMANDS = ("list", "info", "download", "verify", "show", "convert", "cache")
_WIDTH = 100


def main(files: list[str], overrides: list[str]) -> int:
    """Hand over to the sub-command."""
    if not files:
        print(__doc__.strip())
        return 2
    sub, rest = files[0], files[1:]
    if sub not in SUBCOMMANDS:
        near = get_close_matches(sub, SUBCOMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(SUBCOMMANDS)}"
        raise ValueError(f"there is no 'saliency data {sub}'; {hint} (saliency data --help)")
    if any(o in ("--cfg", "-c") for o in overrides):
        settings = [o for o in overrides if not o.startswith("-") and o != "job"]
        print(show(compose(f"data_{sub}", settings + ([f"data={rest[0]}"] if rest and sub != "download" else []))))
        return 0
    command: dict[str, Any] = {
        "list": _list,
        "info": _info,
        "download": _download,
        "verify": _verify,
        "show": _show,
        "convert": _convert,
        "cache": _cache,
    }
    code: int = command[sub](rest, overrides)
    return code


# ---------------------------------------------------------------------------------------------- opening


def _open(sub: str, files: list[str], overrides: list[str]) -> tuple[str, SaliencyDataset, DictConfig]:
    """The data set that NAME and ROOT mean, and the configuration of the sub-command."""
    from saliency_pred.data.catalogue import CATALOGUE, WITHOUT_RELEASE, facts

    if not files:
        raise ValueError(f"name a data set and its folder: saliency data {sub} NAME ROOT (saliency data list)")
    if len(files) > 2:
        raise ValueError(f"saliency data {sub} takes NAME and ROOT, got also {' '.join(files[2:])}")
    name = files[0]
    if name not in CATALOGUE and name not in WITHOUT_RELEASE:
        facts(name)  # says which name is near
    given = [f"data={name}"]
    if len(files) == 2:
        if name in ("synthetic", "synthetic_video", "union"):
            raise ValueError(f"{name} takes no ROOT: saliency data {sub} {name}")
        root = os.path.abspath(os.path.expanduser(files[1]))
        given.append('data.root="' + root.replace("\\", "\\\\").replace('"', '\\"') + '"')
    elif not any(o.startswith("data.root=") for o in overrides) and name in (
        *CATALOGUE,
        "folder",
        "pysaliency",
        "video_folder",
    ):
        raise ValueError(
            f"where is it? saliency data {sub} {name} ROOT (saliency data info {name} says what ROOT holds)"
        )
    cfg = compose(f"data_{sub}", [*given, *overrides])
    from omegaconf import OmegaConf

    for key in sorted(OmegaConf.missing_keys(cfg)):
        raise ValueError(f"{key} must be given: saliency data {sub} {' '.join(files)} {key}=VALUE")
    from saliency_pred.instantiate import instantiate

    dataset: SaliencyDataset = instantiate(cfg.data)
    return name, dataset, cfg


def _progress(total: int | None, desc: str, unit: str = "image", **options: Any) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=desc, unit=unit, disable=None, leave=False, **options)


# ---------------------------------------------------------------------------------------------- list


def _list(files: list[str], overrides: list[str]) -> int:
    from saliency_pred.data.catalogue import CATALOGUE, WITHOUT_RELEASE, readable_size

    if files or overrides:
        raise ValueError("saliency data list takes nothing; one set in detail: saliency data info NAME")
    rows = [("name", "images", "viewers", "download", "licence", "what it is")]
    for name, about in CATALOGUE.items():
        size = "by hand" if not about.sources else readable_size(about.sources[0].size).replace("?", "public")
        viewers = {None: "", 0: "-"}.get(about.viewers, str(about.viewers))
        rows.append((name, f"{about.images:,}", viewers, size, about.licence, about.title))
    widths = [max(len(r[k]) for r in rows) for k in range(5)]
    room = _WIDTH - sum(widths) - 2 * 5
    for number, row in enumerate(rows):
        text = textwrap.wrap(row[5], room) or [""]
        cells = [row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in (1, 2, 3)), row[4].ljust(widths[4])]
        print("  ".join([*cells, text[0]]).rstrip())
        for line in text[1:]:
            print(" " * (_WIDTH - room) + line)
        if number == 0:
            print("-" * _WIDTH)
    print("\nimages: of sets of videos the videos")
    print("MB: saliency data download NAME    public: the same, its size is asked from the server")
    print("by hand: saliency data info NAME lists the steps\n")
    for name, what in WITHOUT_RELEASE.items():
        print(f"{name:<{widths[0]}}  {what}")
    return 0


# ---------------------------------------------------------------------------------------------- info


def _info(files: list[str], overrides: list[str]) -> int:
    from saliency_pred.data.catalogue import facts

    if len(files) == 1 and not any(o.startswith("data.root=") for o in overrides) and files[0] not in (
        "synthetic", "synthetic_video", "union",
    ):  # fmt: skip
        if overrides:
            raise ValueError(f"options need the data: saliency data info {files[0]} ROOT {' '.join(overrides)}")
        print(_how_to_get(files[0], facts(files[0])))
        return 0
    name, dataset, cfg = _open("info", files, overrides)
    from saliency_pred.data.describe import describe

    looked_at = _as_images(dataset, 2 * cfg.images)
    with _progress(len(looked_at), "measuring") as bar:
        found = describe(looked_at, cfg.images, cfg.seed, bar.update)
    if looked_at is not dataset:
        found.parts = _part_sizes(dataset, cfg.seed)
    print(_described(name, dataset, found))
    return 0


def _as_images(dataset: SaliencyDataset, count: int) -> SaliencyDataset:
    """The set itself, or about so many frames of a set of videos."""
    from saliency_pred.data.clips import SomeFrames
    from saliency_pred.data.videos import VideoDataset

    return SomeFrames(dataset, count) if isinstance(dataset, VideoDataset) else dataset


def _part_sizes(dataset: SaliencyDataset, seed: int) -> dict[str, int]:
    """How many videos each part has; nothing where the split does not fit a subset."""
    try:
        return {part: len(indices) for part, indices in dataset.parts(seed).items()}
    except ValueError:
        return {}


def _only_images(sub: str, name: str, dataset: SaliencyDataset) -> None:
    from saliency_pred.data.videos import VideoDataset

    if isinstance(dataset, VideoDataset):
        raise ValueError(f"saliency data {sub} takes sets of images; {name} is one of videos, read as it is")


def _how_to_get(name: str, about: Facts) -> str:
    from saliency_pred.data.catalogue import readable_size

    viewers = f", {about.viewers} viewers" if about.viewers else ""
    lines = [
        f"{name}: {about.title}",
        f"  {about.images:,} images{viewers}; licence: {about.licence}",
        f"  {about.page}",
    ]
    lines.append("")
    if about.sources:
        lines.append("get it")
        for number, source in enumerate(about.sources):
            chosen = "" if number == 0 else f" source={source.name}"
            checked = _checks(source)
            size = "size: asked from the server" if source.size is None else readable_size(source.size)
            lines.append(f"  saliency data download {name} root=DIR{chosen}")
            lines.append(f"      {size}; {checked}")
    else:
        lines += ["get it, by hand", *(f"  {step}" for step in about.steps)]
    lines += ["", f"expected below {about.folder}/", *(f"  {line}" for line in about.tree)]
    lines += ["", "check it", f"  saliency data verify {name} DIR/{about.folder}"]
    return "\n".join(lines)


def _checks(source: Source) -> str:
    if source.manifest is not None:
        return "every unpacked file is compared with its checksum"
    known = sum(f.md5 is not None for f in source.files)
    if known == len(source.files):
        return "compared with its MD5" if known == 1 else f"{known} files, compared with their MD5"
    return f"{known} of {len(source.files)} files have a published checksum, the others are checked by counting"


def _described(name: str, dataset: SaliencyDataset, found: Description) -> str:
    sizes = ", ".join(f"{h} x {w}" for (h, w), _ in found.sizes.most_common(3))
    more = f" and {len(found.sizes) - 3} other sizes" if len(found.sizes) > 3 else ""
    rows = [("images", f"{found.images:,}, height x width {sizes}{more}")]
    if found.images != len(dataset):  # frames of videos
        rows = [("videos", f"{len(dataset):,}; below: {found.images:,} of their frames as images"), *rows]
    if found.parts:
        rows.append((f"split {dataset.split}", ", ".join(f"{part} {n:,}" for part, n in found.parts.items())))
    else:
        rows.append((f"split {dataset.split}", "does not fit these images; set data.split"))
    if found.fixations == 0:
        rows.append(("fixations", "none: maps or pictures only"))
    else:
        outside = f"; {found.outside:,} more lie outside their image" if found.outside else ""
        rows.append(("fixations", f"{found.fixations:,}{outside}"))
        rows.append(("  per image", _spread(found.per_image, "{:.0f}")))
        if found.viewers is not None:
            rows.append(("viewers per image", _spread(found.viewers, "{:.0f}")))
            rows.append(("  fixations of each", _spread(found.per_viewer, "{:.0f}")))
        else:
            rows.append(("viewers", "not stored"))
        if found.without:
            rows.append(("  without any", f"{found.without:,} images"))
        rows.append(("durations", _spread(found.duration, "{:.3f}", " s") or "not stored"))
        timed = "" if found.timed in (0.0, 1.0) else f", known of {found.timed:.0%}"
        rows.append(("onsets", (_spread(found.time, "{:.2f}", " s") or "not stored: no time windows") + timed))
        y, x, sd_y, sd_x = found.centre or (math.nan,) * 4
        rows.append(("mean position", f"{x:.3f} of the width (SD {sd_x:.3f}), {y:.3f} of the height (SD {sd_y:.3f})"))
    for label, value, unit in (
        ("shown for", dataset.viewing_time, "s"),
        ("one degree", dataset.pixel_per_dva, "px"),
        ("blur of its maps", dataset.blur_sigma, "px sigma"),
    ):
        rows.append((label, "not stated" if math.isnan(value) else f"{value:g} {unit}"))
    width = max(len(label) for label, _ in rows)
    lines = [f"{name}  {getattr(dataset, 'root', '')}", *(f"  {label:<{width}}  {value}" for label, value in rows)]
    if found.scores:
        lines += ["", f"how predictable: mean of {found.scored} images that the rows were not fitted to"]
        lines.append(f"  {'':<{width}}  {'LL':>7}{'IG':>8}{'NSS':>8}{'AUC':>8}")
        for row, scores in found.scores.items():
            lines.append(
                f"  {row:<{width}}  {scores['LL']:>7.3f}{scores['IG']:>8.3f}{scores['NSS']:>8.3f}{scores['AUC']:>8.3f}"
            )
        lines.append("  LL, IG: bit per fixation over the uniform density and over the centre bias")
        if found.sigma is not None:
            lines.append(
                f"  gold standard: the other viewers of the same image, kernel of {found.sigma:g} of the long side"
            )
        else:
            lines.append("  no gold standard: it needs images with two viewers or more")
    return "\n".join(lines)


def _spread(spread: Spread | None, form: str, unit: str = "") -> str:
    if spread is None:
        return ""
    values = [form.format(v) for v in (spread.median, spread.low, spread.high)]
    if values[1] == values[2]:
        return f"{values[0]}{unit}"
    return f"{values[0]}{unit} (median; 5 % below {values[1]}, 5 % above {values[2]})"


# ---------------------------------------------------------------------------------------------- download


def _download(files: list[str], overrides: list[str]) -> int:
    from saliency_pred.data.catalogue import facts

    cfg = compose("data_download", overrides)
    if not files:
        raise ValueError("name what to download: saliency data download NAME... [root=DIR] (saliency data list)")
    wanted = {name: facts(name) for name in dict.fromkeys(files)}
    sources = {name: _choose(name, about, cfg.source) for name, about in wanted.items() if about.sources}
    root = Path(cfg.root).expanduser()
    failures: list[str] = []
    for name, about in wanted.items():
        try:
            if name not in sources:
                print(f"{name} cannot be downloaded by a program.\n{_how_to_get(name, about)}\n")
                failures.append(f"{name}: take the steps above")
                continue
            _download_one(name, about, sources[name], root, cfg.dry_run)
        except (OSError, ValueError) as problem:
            failures.append(f"{name}: {problem}")
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 2 if failures else 0


def _choose(name: str, about: Facts, wanted: str | None) -> Source:
    if wanted is None:
        return about.sources[0]
    for source in about.sources:
        if source.name == wanted:
            return source
    raise ValueError(f"source={wanted}: {name} is to be had from {' or '.join(s.name for s in about.sources)}")


def _download_one(name: str, about: Facts, source: Source, root: Path, dry_run: bool) -> None:
    from saliency_pred.data.catalogue import readable_size
    from saliency_pred.data.download import install, remote_size

    folder = root / about.folder
    size = source.size
    about_size = "about "
    if size is None:
        sizes = [remote_size(file.urls[0]) for file in source.files]
        size, about_size = (None, "") if None in sizes else (sum(s for s in sizes if s), "")
    told = "size not stated by the server" if size is None else f"{about_size}{readable_size(size)}"
    print(
        f"{name}: {told} from {source.files[0].urls[0].split('/')[2]}, licence: {about.licence}, into {folder}{os.sep}"
    )
    if dry_run:
        return
    with _progress(size, name, "B", unit_scale=True) as bar:

        def received(new: int, here: int, total: int | None) -> None:
            bar.update(new)

        def unpacked(amount: int) -> None:
            bar.set_postfix_str("unpacking", refresh=False)

        count = install(source, folder, root / ".downloads" / name, received, unpacked)
    checked = (
        f"{_checks(source)}: all right"
        if source.manifest or all(f.md5 for f in source.files)
        else "no checksum is published"
    )
    print(f"  {count:,} files in {folder}{os.sep} ({checked})")
    # Counting is the only check where no checksum is published, and tells a changed release anywhere.
    dataset = _opened(name, folder)
    complete = "" if about.parts or len(dataset) == about.images else f" of {about.images:,}: incomplete"
    print(f"  {len(dataset):,} images{complete}; next: saliency data verify {name} {folder}")
    if complete:
        raise ValueError(f"{folder} holds {len(dataset):,} images, the release {about.images:,}")


def _opened(name: str, folder: Path) -> SaliencyDataset:
    from saliency_pred.instantiate import instantiate

    dataset: SaliencyDataset = instantiate(compose("data_verify", [f"data={name}"]).data, root=str(folder))
    return dataset


# ---------------------------------------------------------------------------------------------- verify


def _verify(files: list[str], overrides: list[str]) -> int:
    name, dataset, cfg = _open("verify", files, overrides)
    from saliency_pred.data.verify import steps, verify

    with _progress(steps(dataset, name), "checking", "file") as bar:
        found = verify(dataset, name, cfg.workers, bar.update)
    print(f"{name}  {getattr(dataset, 'root', '')}")
    rows = [("images", f"{found.images - len(set(found.broken) & set(dataset.image_ids)):,} decoded")]
    if found.edition:
        rows.append(("found", found.edition))
    if found.fixations:
        viewers = f", at most {found.viewers} viewers an image" if found.viewers else ", viewers not stored"
        rows.append(("fixations", f"{found.fixations:,}{viewers}"))
    rows.append(("checksums", found.checksums))
    rows += [("note", remark) for remark in found.remarks]
    for label, text in rows:
        print(f"  {label:<10} {text}")
    if found.sound:
        print("  complete and undamaged" if found.checksums[0].isdigit() else "  complete, and every file can be read")
        return 0
    for what in found.incomplete:
        print(f"error: incomplete: {what}", file=sys.stderr)
    for what, problem in found.broken.items():
        print(f"error: {what}: {problem}", file=sys.stderr)
    return 2


# ---------------------------------------------------------------------------------------------- the others


def _show(files: list[str], overrides: list[str]) -> int:
    _, dataset, cfg = _open("show", files, overrides)
    import cv2

    from saliency_pred.atomic import write_bytes
    from saliency_pred.inference.contact_sheet import contact_sheet

    out = Path(cfg.out).expanduser()
    if out.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise ValueError(f"out={cfg.out} must end in .jpg or .png")
    looked_at = _as_images(dataset, max(cfg.count, len(dataset)))
    sheet = contact_sheet(looked_at, cfg.count, cfg.seed, cfg.columns)
    quality = [] if out.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 92]
    done, code = cv2.imencode(out.suffix.lower(), sheet[..., ::-1], quality)
    if not done:
        raise OSError(f"OpenCV could not encode {out.suffix}")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, code.tobytes())
    print(f"{min(cfg.count, len(looked_at))} of {len(looked_at):,} images in {out}")
    return 0


def _convert(files: list[str], overrides: list[str]) -> int:
    name, dataset, cfg = _open("convert", files, overrides)
    _only_images("convert", name, dataset)
    from saliency_pred.data.convert import convert

    out = Path(cfg.out).expanduser()
    with _progress(len(dataset), "converting") as bar:
        counts = convert(dataset, out, cfg.to, bar.update)
    print(", ".join(f"{n:,} {what}" for what, n in counts.items() if n) + f" in {out}{os.sep}")
    stated = {
        "viewing_time": dataset.viewing_time,
        "pixel_per_dva": dataset.pixel_per_dva,
        "blur_sigma": dataset.blur_sigma,
    }
    options = [f"+data.{key}={value:g}" for key, value in stated.items() if not math.isnan(value)]
    if dataset.domain != "natural-eye":
        options.append(f"+data.domain={dataset.domain}")
    print(f"use it: saliency train data={cfg.to} data.root={out} {' '.join(options)}".rstrip())
    return 0


def _cache(files: list[str], overrides: list[str]) -> int:
    name, dataset, cfg = _open("cache", files, overrides)
    _only_images("cache", name, dataset)
    from saliency_pred.data.cache import DiskCache

    if len(cfg.size) != 2 or min(cfg.size) < 1:
        raise ValueError(f"size must be [height,width] in pixels, got {list(cfg.size)}")
    with _progress(len(dataset), "decoding") as bar:
        cache = DiskCache.open(dataset, cfg.size, cfg.resize, cfg.out, cfg.workers, bar.update)
    stored = sum(int(h * w * 3) for h, w in cache.sizes.tolist())
    from saliency_pred.data.catalogue import readable_size

    size = readable_size(stored)
    print(f"{len(cache):,} images, {cache.decoded:,} of them decoded now, {size} in {cache.folder}{os.sep}")
    settings = f"loader.size=[{cfg.size[0]},{cfg.size[1]}] loader.resize={cfg.resize} loader.cache={cfg.out}"
    print(f"use it: saliency train ... {settings}")
    return 0

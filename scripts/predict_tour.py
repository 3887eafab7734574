"""Run every command of docs/predict.md as written, and make its pictures again.

python scripts/predict_tour.py [FOLDER]   (needs `pip install --no-deps scikit-image` for its photographs, all
                                           of them public domain or CC0; two pages are drawn here)

The page's `sh` blocks are run one after the other in an empty folder, `python` blocks likewise; the first that fails
stops the script. Then the pictures that the page shows are copied to docs/pictures, or to FOLDER.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "predict.md"
PHOTOS = {
    "astronaut.png": "photo.jpg",
    "rocket.jpg": "photos/rocket.jpg",
    "coffee.png": "photos/coffee.jpg",
    "chelsea.png": "photos/cat.jpg",
}
"""Of scikit-image: NASA (public domain) the first two, CC0 the others."""
SHOWN = {
    "predictions/photo_overlay.jpg": "predict_overlay.jpg",
    "all/contact_sheet.jpg": "predict_sheet.jpg",
    "shop/old_regions.jpg": "predict_old.jpg",
    "shop/new_regions.jpg": "predict_new.jpg",
    "time/photo_time.gif": "predict_time.gif",
}
"""What the page shows: made by its commands → file in docs/pictures."""


def main(target: Path) -> None:
    """Run all, then copy."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        inputs(work)
        for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", text, re.M | re.S):
            print(f"$ {block.strip()}", flush=True)
            command = ["bash", "-euo", "pipefail", "-c", block] if language == "sh" else [sys.executable, "-c", block]
            subprocess.run(command, cwd=work, check=True)
        target.mkdir(parents=True, exist_ok=True)
        for made, name in SHOWN.items():
            if name.endswith(".jpg"):
                picture = Image.open(work / made)
                picture.thumbnail((1100, 1100))
                picture.save(target / name, quality=88)
            else:
                (target / name).write_bytes((work / made).read_bytes())
            print(f"{target / name}: {(target / name).stat().st_size // 1000} kB")


def inputs(work: Path) -> None:
    """The photographs and pages that the commands name."""
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the photographs come with scikit-image: pip install --no-deps scikit-image")
    photos = Path(package.origin).parent / "data"
    for name, file in PHOTOS.items():
        (work / file).parent.mkdir(exist_ok=True)
        Image.open(photos / name).convert("RGB").save(work / file, quality=95)
    portrait = Image.open(work / "photo.jpg").crop((110, 0, 370, 260))
    page(portrait, "left").save(work / "old.png")
    page(portrait, "right").save(work / "new.png")


def page(portrait: Image.Image, side: str) -> Image.Image:
    """A page with a portrait, a headline, text and a button; the portrait to the left or beside the button."""
    sheet = Image.new("RGB", (1200, 760), (250, 250, 252))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, 1200, 72), (24, 60, 110))
    draw.text((40, 20), "Orbit Travel", (255, 255, 255), ImageFont.load_default(30))
    for x, word in ((760, "Flights"), (890, "Stays"), (1000, "Guides"), (1110, "Help")):
        draw.text((x, 26), word, (214, 226, 244), ImageFont.load_default(19))
    left = 60 if side == "left" else 770
    sheet.paste(portrait.resize((340, 340)), (left, 150))
    x = 460 if side == "left" else 60
    draw.text((x, 160), "See the Earth from above", (24, 34, 52), ImageFont.load_default(40))
    rng = np.random.default_rng(0)
    for line in range(7):
        word_at = x
        while word_at < x + 560:
            width = int(rng.integers(24, 92))
            draw.rectangle((word_at, 246 + 30 * line, min(word_at + width, x + 590), 256 + 30 * line), (176, 184, 198))
            word_at += width + 10
    button = (x, 490, x + 220, 552)
    draw.rounded_rectangle(button, 10, (236, 112, 36))
    draw.text((x + 110, 521), "Book now", (255, 255, 255), ImageFont.load_default(26), anchor="mm")
    for column, word in enumerate(("Moon", "Mars", "Station", "Polar")):
        box = (60 + 280 * column, 620, 300 + 280 * column, 720)
        draw.rounded_rectangle(box, 8, (232, 236, 243))
        draw.text((box[0] + 120, 670), word, (92, 104, 124), ImageFont.load_default(20), anchor="mm")
    return sheet


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "pictures")

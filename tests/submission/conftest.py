"""Small boards, and predictions that cost nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import cat2000, mit300, salicon
from fixtures.boards import Board, blob

from saliency_pred.data.cat2000 import CAT2000
from saliency_pred.data.mit1003 import MIT300
from saliency_pred.data.salicon import SALICON
from saliency_pred.submission.cat2000 import Cat2000
from saliency_pred.submission.salicon import Salicon
from saliency_pred.submission.stills import Picture, pictures
from saliency_pred.submission.tuebingen import Tuebingen


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Board]:
    """Board name → the board and the images that it wants maps of."""
    root = tmp_path_factory.mktemp("boards")

    def every(dataset) -> list[Picture]:
        return pictures(dataset, range(len(dataset)))

    salicon_data = SALICON(salicon.write(root / "salicon"))
    val = [i for i in range(len(salicon_data)) if salicon_data.official_part(i) == "val"]
    cat = cat2000.write(root / "cat2000")
    return {
        "tuebingen": (Tuebingen("blobs", "IG"), every(MIT300(mit300.write(root / "mit300")))),
        "salicon": (Salicon(), pictures(salicon_data, val)),
        "cat2000": (Cat2000(), pictures(CAT2000(cat), range(2))),
        "tuebingen_cat2000": (Tuebingen(), pictures(CAT2000(cat), range(2))),
    }


@pytest.fixture(scope="session")
def archives(boards: dict[str, Board], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Board name → a sound archive."""
    made = {}
    for name, (board, wanted) in boards.items():
        made[name] = tmp_path_factory.mktemp(name) / f"blobs{board.suffixes[0]}"
        board.build(wanted, blob, made[name], {"test": name})
    return made

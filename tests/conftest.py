"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(os.environ.get("SALIENCY_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
"""Real fixation data in original layouts: read where it is present, never part of the project."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data samples; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA} (set SALIENCY_TEST_DATA to have these tests run)")
    return SHARED_DATA

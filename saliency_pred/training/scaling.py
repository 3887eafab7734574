"""What changes with the number of processes: the batch of a step, and the learning rates."""

from __future__ import annotations

from typing import Literal


class Scaling:
    """How a run with more or fewer processes compares with the one its settings were chosen for.

    Images a step = batch size x processes x accumulated batches.

    Args:
        rule: ``none``: the settings as they stand; ``linear``: learning rates grow as the images a step do
            (Goyal et al., arXiv 1706.02677; SGD); ``sqrt``: as their root (Malladi et al., arXiv 2205.10287;
            Adam); ``same_batch``: a step is of ``reference`` images always, and the rates stand.
        reference: images a step that the learning rate was chosen for.

    Raises:
        ValueError: an unknown rule, or one without its reference.
    """

    def __init__(self, rule: Literal["none", "linear", "sqrt", "same_batch"], reference: int | None = None) -> None:
        if rule not in ("none", "linear", "sqrt", "same_batch"):
            raise ValueError(f"scaling.rule={rule!r} is none of none, linear, sqrt, same_batch")
        if rule != "none" and (reference is None or reference < 1):
            raise ValueError(f"scaling={rule} needs scaling.reference=IMAGES, the images a step to compare with")
        self.rule = rule
        self.reference = reference

    def batch_size(self, given: int, processes: int, accumulated: int) -> int:
        """Images per process and batch.

        Raises:
            ValueError: the reference cannot be shared evenly.
        """
        if self.rule != "same_batch" or self.reference is None:
            return given
        share, rest = divmod(self.reference, processes * accumulated)
        if rest or not share:
            raise ValueError(
                f"scaling.reference={self.reference} images a step cannot be shared evenly by {processes} processes "
                f"with {accumulated} accumulated batches each; choose a multiple of {processes * accumulated}"
            )
        return share

    def factor(self, images: int) -> float:
        """What the learning rates are multiplied by when a step is of so many images."""
        if self.reference is None or self.rule not in ("linear", "sqrt"):
            return 1.0
        ratio = images / self.reference
        return ratio if self.rule == "linear" else ratio**0.5

"""What can be wrong with a data set on disk; every message names the file and the remedy."""


class DatasetNotFoundError(FileNotFoundError):
    """The folder, or a part that every release of this data set has, is not there."""


class DatasetLayoutError(ValueError):
    """Something is there, but it is not this data set or not the edition that was asked for."""


class BrokenFileError(OSError):
    """One file cannot be read: truncated, empty, of another format, or not permitted."""


class MissingFixationsError(ValueError):
    """Fixations are needed, and this data set ships only maps (or this image has none)."""

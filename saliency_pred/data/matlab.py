"""Reading MATLAB files of any version into one plain form.

numeric and logical arrays   ndarray, two-dimensional as in MATLAB
char rows                    str (a char matrix: list of str)
cell arrays                  ndarray of objects, shaped as in MATLAB
structs and struct arrays    ndarray of dict, shaped as in MATLAB; a single struct is 1 x 1
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError


def read_mat(path: str | Path, variable: str | None = None) -> Any:
    """The variables of a .mat file by name, or the one asked for.

    Raises:
        BrokenFileError: the file is missing, empty, truncated, not permitted, or no MATLAB file.
        DatasetLayoutError: it has no such variable.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(1024)
        if not head:
            raise BrokenFileError(f"{path} is empty (0 bytes); copy or download it again")
        if head.startswith(b"\x89HDF") or head[512:516] == b"\x89HDF":
            contents = _read_v73(path)
        else:
            loaded = scipy.io.loadmat(path, struct_as_record=True, squeeze_me=False)
            contents = {name: _plain(value) for name, value in loaded.items() if not name.startswith("__")}
    except BrokenFileError:
        raise
    except PermissionError as problem:
        raise BrokenFileError(f"{path} may not be read by this user; change its permissions (chmod u+r)") from problem
    except FileNotFoundError as problem:
        raise BrokenFileError(f"{path} does not exist (or is a link to a file that does not)") from problem
    except OSError as problem:
        raise BrokenFileError(f"{path} cannot be read: {problem}; copy or download it again") from problem
    except Exception as problem:  # ValueError, TypeError, zlib.error ... by kind of damage
        raise BrokenFileError(
            f"{path} is truncated or no MATLAB file ({type(problem).__name__}: {problem}); copy or download it again"
        ) from problem
    if variable is None:
        return contents
    if variable not in contents:
        raise DatasetLayoutError(
            f"{path} has no variable {variable!r} but {sorted(contents) or 'nothing'}: "
            "it is another file or another edition than this data set expects"
        )
    return contents[variable]


def entries(value: Any) -> list[Any]:
    """The cells or structs of an array in MATLAB's (column-major) order."""
    return list(value.flatten(order="F")) if isinstance(value, np.ndarray) else [value]


def field(struct: Any, name: str, where: str) -> Any:
    """A field of one struct.

    Raises:
        DatasetLayoutError: ``struct`` is no struct or lacks the field; the message says ``where``.
    """
    if isinstance(struct, np.ndarray) and struct.size == 1:
        struct = struct.flat[0]
    if not isinstance(struct, dict) or name not in struct:
        found = sorted(struct) if isinstance(struct, dict) else type(struct).__name__
        raise DatasetLayoutError(f"{where}: expected a struct with the field {name!r}, found {found}")
    return struct[name]


def numbers(value: Any) -> np.ndarray:
    """float64 (n,) of a numeric vector; of an empty array of any kind: none."""
    if value is None or (isinstance(value, (str, list)) and not value):
        return np.zeros(0)
    return np.asarray(value, dtype=np.float64).reshape(-1)


def columns(value: Any, count: int, where: str) -> np.ndarray:
    """float64 (n, count) of a numeric matrix with at least so many columns; of an empty one: (0, count).

    Raises:
        DatasetLayoutError: it has fewer columns; the message says ``where``.
    """
    array = np.asarray(value)
    if array.size == 0:
        return np.zeros((0, count))
    if array.ndim != 2 or array.shape[1] < count or array.dtype == object:
        raise DatasetLayoutError(f"{where}: expected {count} columns of numbers, found {array.dtype} {array.shape}")
    return array[:, :count].astype(np.float64)


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names is not None:
        names = value.dtype.names
        return _objects((({n: _plain(item[n]) for n in names} for item in value.flat)), value.shape)
    if value.dtype == object:
        return _objects((_plain(item) for item in value.flat), value.shape)
    if value.dtype.kind == "U":
        rows = [str(row) for row in value.flat]
        return "".join(rows) if len(rows) <= 1 else rows
    return value


def _objects(items: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(shape, dtype=object)
    for position, item in enumerate(items):
        array.flat[position] = item
    return array


def _read_v73(path: Path) -> dict[str, Any]:
    """A v7.3 file is HDF5: arrays transposed, cells and struct arrays as references."""
    with h5py.File(path, "r") as file:
        return {name: _from_hdf5(item, file) for name, item in file.items() if not name.startswith("#")}


def _from_hdf5(item: Any, file: h5py.File) -> Any:
    if isinstance(item, h5py.Group):
        fields: dict[str, Any] = {}
        shape: tuple[int, ...] = (1, 1)
        for name, child in item.items():
            # A struct array holds, per field, an array of references that bears no class of its own.
            if isinstance(child, h5py.Dataset) and child.dtype == h5py.ref_dtype and "MATLAB_class" not in child.attrs:
                shape = child.shape[::-1]
                fields[name] = [_from_hdf5(file[ref], file) for ref in child[()].T.flat]
            else:
                fields[name] = [_from_hdf5(child, file)]
        count = int(np.prod(shape))
        return _objects(({n: v[i] for n, v in fields.items()} for i in range(count)), shape)
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if item.attrs.get("MATLAB_empty"):
        if kind == "char":
            return ""
        dtype = object if kind in ("cell", "struct") else float
        return np.empty(tuple(int(n) for n in np.ravel(item[()])), dtype=dtype)
    if item.dtype == h5py.ref_dtype:
        refs = item[()].T
        return _objects((_from_hdf5(file[ref], file) for ref in refs.flat), refs.shape)
    array = np.asarray(item[()]).T
    if kind == "char":
        rows = ["".join(chr(c) for c in row) for row in np.atleast_2d(array)]
        return rows[0] if len(rows) == 1 else rows
    return array.astype(bool) if kind == "logical" else array

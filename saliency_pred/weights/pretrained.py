"""Models as folders in the format of the Hugging Face hub: ``model.safetensors``, ``config.json``, ``README.md``.

Such a folder is a model repository as it is: ``hf upload OWNER/NAME FOLDER`` publishes it.
"""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import OmegaConf

from saliency_pred.atomic import write_text
from saliency_pred.version import __version__
from saliency_pred.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"


def save_pretrained(checkpoint: Checkpoint, folder: str | Path) -> Path:
    """Write a model into a folder, which is made; an existing card is left as it is.

    Returns:
        the folder.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder / WEIGHTS, checkpoint.model, checkpoint.config, checkpoint.centre_bias)
    config = json.dumps(OmegaConf.to_container(checkpoint.config, resolve=True), indent=2) + "\n"
    write_text(folder / CONFIG, config)
    if not (folder / CARD).exists():
        write_text(folder / CARD, card(checkpoint))
    return folder


def load_pretrained(name: str | Path, revision: str | None = None) -> Checkpoint:
    """A model from a folder, or from the hub.

    Args:
        name: a folder, or ``owner/name`` on the hub, which is downloaded into the hub's cache once.
        revision: branch, tag or commit on the hub; None: its main branch.

    Raises:
        FileNotFoundError: neither a folder nor a repository of this name, or it lacks one of the two files.
        ValueError: the files describe no model of this package.
        OSError: the hub cannot be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        for part in (WEIGHTS, CONFIG):
            if not (folder / part).is_file():
                raise FileNotFoundError(f"{folder} has no {part}; save_pretrained and `saliency export` write both")
        return load_checkpoint(folder / WEIGHTS, folder / CONFIG)
    return load_checkpoint(_download(str(name), WEIGHTS, revision), _download(str(name), CONFIG, revision))


def _download(repository: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError
    from huggingface_hub.errors import LocalEntryNotFoundError as Unreachable

    try:
        return Path(hf_hub_download(repository, file, revision=revision, library_name="saliency_pred"))
    except HFValidationError as error:
        raise FileNotFoundError(f"{repository} is no folder here and no owner/name of the hub") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"the hub has no repository {repository} (or it is private: `hf auth login`), and it is no folder here"
        ) from error
    except Unreachable as error:
        raise OSError(
            f"{file} of {repository} is not in the cache and the hub cannot be reached; is {repository} a folder "
            "somewhere else?"
        ) from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(f"the repository {repository} has no {file}: it is no model of this package") from error


def card(checkpoint: Checkpoint) -> str:
    """A model card to be completed: what the files are and how to use them."""
    config = checkpoint.config
    height, width = config.loader.size
    parameters = sum(p.numel() for p in checkpoint.model.parameters())
    return f"""---
library_name: saliency_pred
tags: [saliency, fixation-prediction, eye-tracking]
---

# {config.get("name", "saliency model")}

Predicts where people look: a density of fixations over the pixels of an image.

```python
from saliency_pred.inference.predictor import Predictor

model = Predictor.from_pretrained("OWNER/NAME")  # or the folder with these files
prediction = model.predict("photo.jpg")
prediction.density  # sums to 1
```

| | |
|---|---|
| encoder | `{config.encoder.get("name", config.encoder._target_.rsplit(".", 1)[-1])}` |
| decoder | `{config.decoder._target_.rsplit(".", 1)[-1]}` |
| parameters | {parameters:,} |
| input | {height} x {width} |
| written by | saliency-pred {__version__} |

Training data, licence of the weights, scores and limits: to be filled in.
"""

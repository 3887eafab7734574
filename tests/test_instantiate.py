"""A config, which may be a stranger's, builds objects of allowed classes and runs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from torch import nn

from saliency_pred.instantiate import instantiate
from saliency_pred.model import CentreBiasPrior

PRIOR = "saliency_pred.model.CentreBiasPrior"


def touch(mark: Path, path: str = "pathlib.Path") -> dict[str, Any]:
    """What leaves a mark if it is run; Hydra itself blocks os.system and its like, but not this."""
    return {"_target_": f"{path}.touch", "_args_": [{"_target_": path, "_args_": [str(mark)]}]}


@pytest.mark.parametrize(
    "how",
    ["target", "argument", "list", "interpolation", "interpolated target", "escaped", "decoded", "imported name"],
)
def test_no_way_leads_to_foreign_code(how: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = touch(mark)
    text = str(evil).replace("'", "")
    node: Any = {
        "target": evil,
        "argument": {"_target_": PRIOR, "weight": evil},
        "list": {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.ReLU"}, evil]},
        "interpolation": {"_target_": PRIOR, "weight": "${evil}"},
        "interpolated target": evil | {"_target_": "${evil._target_}"},
        "escaped": {"_target_": PRIOR, "weight": r"\${evil}"},
        "decoded": {"_target_": PRIOR, "weight": f"${{oc.decode:'{text}'}}"},
        "imported name": touch(mark, "saliency_pred.inference.predictor.Path"),
    }[how]
    config = OmegaConf.create({"evil": evil, "encoder": node})
    with pytest.raises(ValueError, match=r"refused|cannot be found"):
        instantiate(config.encoder)
    assert not mark.exists()


def test_functions_are_refused_too() -> None:
    with pytest.raises(ValueError, match="it is no class but function"):
        instantiate({"_target_": "saliency_pred.weights.checkpoint.load_checkpoint", "path": "x"})


def test_a_name_that_does_not_exist_is_said() -> None:
    with pytest.raises(ValueError, match=r"saliency_pred\.model\.CenterBiasPrior cannot be found"):
        instantiate({"_target_": "saliency_pred.model.CenterBiasPrior"})


def test_builds_nested_and_interpolated_objects_with_overrides() -> None:
    config = OmegaConf.create(
        {"width": 5, "net": {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": PRIOR, "grid": "${width}"}]}}
    )
    net = instantiate(config.net)
    assert isinstance(net, nn.Sequential)
    assert isinstance(net[0], CentreBiasPrior)
    assert net[0].log_density.shape == (1, 5, 5)
    assert instantiate({"_target_": PRIOR, "grid": 4}, num_windows=3).log_density.shape == (3, 4, 4)


def test_what_a_component_says_is_passed_on() -> None:
    with pytest.raises(ValueError, match="timm has no network 'resnet19'"):
        instantiate({"_target_": "saliency_pred.encoders.timm.TimmEncoder", "name": "resnet19"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'wieght'"):
        instantiate({"_target_": PRIOR, "wieght": 1.0})

"""What holds for every encoder of clips with every decoder of clips that fits it, found by glob."""

from __future__ import annotations

import inspect
from pathlib import Path

import hydra.utils
import pytest
import torch
from omegaconf import OmegaConf

from saliency_pred.cli.compose import compose
from saliency_pred.encoders.parallel import ParallelEncoder
from saliency_pred.instantiate import instantiate
from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import build_model, without_pretrained

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FRAMES = 16
LARGE = {"swin3d_s", "swin3d_b", "vinet_e", "vgg16_salema"}  # many seconds on one core
PER_FRAME = {"per_frame", "mobilenetv2_unisal", "vgg16_salema"}
FITTING = {  # decoders that need features of a certain kind: the encoders that have them
    "vinet": {"s3d", "s3d_tased", "swin3d_t", "swin3d_s", "swin3d_b"},
    "vinet_a": {"slowfast"},
    "vinet_e": {"vinet_e"},
    "unisal": PER_FRAME - {"vgg16_salema"},
    "salema": PER_FRAME,
}
FITTING |= {"vinet_s": FITTING["vinet"], "tased": FITTING["vinet"]}


def configs(group: str) -> dict[str, type]:
    paths = sorted((CONFIGS / group).glob("*.yaml"))
    return {path.stem: hydra.utils.get_class(OmegaConf.load(path)["_target_"]) for path in paths}


def encodes_clips(name: str, target: type) -> bool:
    """Whether the class says its strides in time; a parallel one does where all its encoders do."""
    if target is ParallelEncoder:
        members = OmegaConf.load(CONFIGS / "encoder" / f"{name}.yaml").encoders.values()
        return all(encodes_clips("", hydra.utils.get_class(member["_target_"])) for member in members)
    return "self.time_strides = " in inspect.getsource(target)


def decodes_clips(target: type) -> bool:
    """Whether the class says which frames of a clip it predicts."""
    return hasattr(target, "position") or "self.position = " in inspect.getsource(target)


ENCODERS = [name for name, target in configs("encoder").items() if encodes_clips(name, target)]
DECODERS = [name for name, target in configs("decoder").items() if decodes_clips(target)]


def pairs() -> list[object]:
    found = []
    for encoder in ENCODERS:
        for decoder in DECODERS:
            if encoder in FITTING.get(decoder, set(ENCODERS) - {"vinet_e"}):
                slow = encoder in LARGE | {"s3d_tased", "swin3d_t"} or decoder in {"vinet", "salema"}
                marks = [pytest.mark.slow] if slow else []
                found.append(pytest.param(encoder, decoder, marks=marks, id=f"{encoder}-{decoder}"))
    return found


def model(encoder: str, decoder: str) -> SaliencyModel:
    torch.manual_seed(0)
    arguments = OmegaConf.load(CONFIGS / "decoder" / f"{decoder}.yaml")
    options = []
    if "frames" in arguments:
        options += [f"decoder.frames={FRAMES}", f"loader.clips.frames={FRAMES}"]
        options.append(f"loader.clips.position={'centre' if decoder == 'vinet_a' else 'last'}")
    if "num_windows" in arguments:
        options.append(f"decoder.num_windows={FRAMES}")
        options += ["decoder.position=all"] if "position" in arguments else []
    cfg = compose("train", [f"encoder={encoder}", f"decoder={decoder}", "prior=none", *options])
    return build_model(without_pretrained(cfg))


def test_the_lists_hold_what_they_should() -> None:
    assert {"s3d", "slowfast", "swin3d_t", "per_frame", "mobilenetv2_unisal", "vinet_e"} <= set(ENCODERS)
    assert {"vinet_s", "vinet_a", "vinet", "tased", "unisal", "salema", "temporal", "vinet_e"} == set(DECODERS)
    assert not {"efficientnet_lite0", "pnasnet_pair"} & set(ENCODERS)


@pytest.mark.parametrize(("encoder", "decoder"), pairs())
def test_forward_and_backward_at_an_odd_size(encoder: str, decoder: str) -> None:
    network = model(encoder, decoder)
    frames = 64 if encoder == "vinet_e" else FRAMES
    logits = network(torch.rand(1, 3, frames, 61, 93), domain=torch.tensor([5]))
    assert logits.shape == (1, network.num_windows, 61, 93)
    position = network.decoder.position
    assert position in ("last", "centre", "all")
    assert network.num_windows == (frames if position == "all" else 1)
    assert logits.isfinite().all()
    logits.flatten(2).log_softmax(-1)[..., 1000].sum().backward()
    for part in (network.encoder, network.decoder):
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        frozen = not any(p.requires_grad for p in part.parameters())
        assert frozen or (gradients and any(g.abs().max() > 0 for g in gradients))
        assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("encoder", [e for e in ENCODERS if e not in LARGE | {"s3d_tased", "swin3d_t"}])
@torch.no_grad()
def test_strides_in_space_and_time_are_true(encoder: str) -> None:
    network = instantiate(without_pretrained(compose("train", [f"encoder={encoder}"])).encoder).eval()
    features = network(torch.rand(1, 3, FRAMES, 61, 93))
    assert [f.shape[1] for f in features] == network.channels
    for feature, stride, time_stride in zip(features, network.strides, network.time_strides, strict=True):
        assert feature.shape[2] == FRAMES // time_stride
        assert abs(feature.shape[3] - 61 / stride) <= 1
        assert abs(feature.shape[4] - 93 / stride) <= 1

"""turn an official checkpoint of a published network into one of ours

  saliency import                                     lists the networks
  saliency import transalnet_res TranSalNet_Res.pth   writes transalnet_res.safetensors
  saliency import mds_vitnet decoders.pth merge.pth   networks published in two files
  saliency import tempsal TempSAL.pt decoder.return_slices=true out=tempsal.safetensors

The result is a checkpoint for predict, evaluate and export. Tensors are matched one to one; what is unknown,
missing or of another shape is listed, and nothing is written. Files are read without running code in them.
"""

from __future__ import annotations

from pathlib import Path


def main(files: list[str], overrides: list[str]) -> int:
    """Run the command."""
    from saliency_pred.weights.published.load import convert, fill, importer, names

    if not files:
        if overrides:
            raise ValueError("name a network and its file: saliency import NAME FILE [out=CHECKPOINT]")
        for name in names():
            about = (importer(name).__doc__ or "").strip().splitlines()[0]
            print(f"{name:18} {about}")
        return 0

    from saliency_pred.cli.compose import compose
    from saliency_pred.weights.checkpoint import build_model, save_checkpoint, without_pretrained

    name, *paths = files
    config = importer(name).CONFIG
    if not paths:
        raise ValueError(f"give the official file: saliency import {name} FILE [out=CHECKPOINT]")
    choices = [f"encoder={config['encoder']}", f"decoder={config['decoder']}", *config.get("settings", [])]
    cfg = compose("import", choices + overrides)
    out = Path(cfg.out or f"{name}.safetensors").expanduser()
    if out.suffix != ".safetensors":
        raise ValueError(f"out={out} must end in .safetensors")
    del cfg.out
    converted = convert(name, paths)
    cfg = without_pretrained(cfg)
    model = build_model(cfg)
    fill(model, converted, " + ".join(paths))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(out, model, cfg)
    count = sum(p.numel() for p in model.parameters())
    print(f"{out}: {name}, {count / 1e6:.2f} M parameters, input {cfg.loader.size[0]} x {cfg.loader.size[1]}")
    return 0

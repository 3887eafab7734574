"""write a model for other programs: ONNX, torch.export, or a Hugging Face folder

usage: saliency export default|CKPT out=FILE.onnx|FILE.pt2|FOLDER [domain=NAME]

  saliency export default out=saliency.onnx      for ONNX Runtime and whatever reads ONNX
  saliency export default out=saliency.pt2       for torch.export.load and torch.compile
  saliency export best.ckpt out=my_model         a folder for Predictor.from_pretrained and `hf upload`

.onnx and .pt2 take RGB images in [0, 1], (batch, 3, height, width), with sides that are multiples of 32 from 64 on,
and return log densities. What was made is run at several sizes and compared with the model before it is left there.
"""

from __future__ import annotations

from pathlib import Path

from saliency_pred.cli.compose import compose


def main(files: list[str], overrides: list[str]) -> int:
    """Write, check, print."""
    from omegaconf import OmegaConf

    cfg = compose("export", overrides)
    if len(files) != 1:
        raise ValueError("name one model: saliency export default|CKPT out=FILE.onnx|FILE.pt2|FOLDER")
    if OmegaConf.is_missing(cfg, "out"):
        raise ValueError(f"out must be given: saliency export {files[0]} out=FILE.onnx|FILE.pt2|FOLDER")
    out = Path(cfg.out).expanduser()
    if out.suffix and out.suffix not in (".onnx", ".pt2") and not out.is_dir():
        raise ValueError(f"out={out} must end in .onnx or .pt2, or be a folder")

    from saliency_pred.inference.export import export_onnx, export_program
    from saliency_pred.inference.predictor import Predictor

    predictor = Predictor.load(files[0], domain=cfg.domain, device="cpu")
    if out.suffix not in (".onnx", ".pt2"):
        print(f"{predictor.save_pretrained(out)}: load it with Predictor.from_pretrained, publish it with `hf upload`")
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    difference = (export_onnx if out.suffix == ".onnx" else export_program)(predictor, out)
    print(f"{out}: differs from the model by {difference:.1g} at most (natural logarithm, several sizes)")
    return 0

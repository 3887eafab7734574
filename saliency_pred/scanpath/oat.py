"""OAT: the order in which objects on a shelf are looked at while one of them is searched for.

Source: OAT: Object-level attention transformer for gaze scanpath prediction, ECCV 2024;
github.com/HKUST-NISL/oat_eccv24, ``src/model/models.py``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CropEmbedding(nn.Module):
    """A picture of one object -> a vector: two convolutions with pooling, and a linear layer.

    Args:
        crop_size: (height, width) of the pictures in the axis order in which they are given.
        width: of the vector.
    """

    def __init__(self, crop_size: tuple[int, int] = (150, 93), width: int = 256) -> None:
        super().__init__()
        cells = [((n - 4) // 5 - 2) // 3 for n in crop_size]
        if min(cells) < 1:
            raise ValueError(f"crops must have 29 pixels a side or more, got {tuple(crop_size)}")
        self.first = nn.Conv2d(3, 16, 5)
        self.second = nn.Conv2d(16, 32, 3)
        self.linear = nn.Linear(32 * cells[0] * cells[1], width)

    def forward(self, crops: Tensor) -> Tensor:
        """(..., 3, h, w) -> (..., width)."""
        x = crops.flatten(0, -4)
        x = F.max_pool2d(F.relu(self.first(x)), 5)
        x = F.max_pool2d(F.relu(self.second(x)), 3)
        return self.linear(x.flatten(1)).unflatten(0, crops.shape[:-3])


class PointerHead(nn.Module):
    """Scaled products of decoder states with encoded objects, and a zero for "no object"."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode = nn.Linear(width, width)
        self.decode = nn.Linear(width, width)

    def forward(self, objects: Tensor, states: Tensor) -> Tensor:
        """(B, N, C), (B, L, C) -> (B, L, N + 1)."""
        products = self.decode(states) @ self.encode(objects).transpose(1, 2)
        return F.pad(products, (0, 1)) / math.sqrt(objects.shape[-1])


class OAT(nn.Module):
    """A transformer from the objects of a scene, and those looked at so far, to the one looked at next.

    Objects are numbered row by row, 0 to n - 1 with n = rows * columns. Further tokens: n ends a scanpath
    (and stands for the searched-for object, which is appended to the scene), n + 1 is padding, n + 2
    begins a scanpath.

    Args:
        rows, columns: of the shelf.
        crop_size: of the objects' pictures.
        width: of a token; half of it is the picture, half its place.
        heads, layers, feedforward: of encoder and decoder.
        dropout: in training.
        longest: scanpath, in tokens.
    """

    places: Tensor
    steps: Tensor

    def __init__(
        self,
        rows: int = 6,
        columns: int = 14,
        crop_size: tuple[int, int] = (150, 93),
        width: int = 512,
        heads: int = 4,
        layers: int = 4,
        feedforward: int = 512,
        dropout: float = 0.1,
        longest: int = 5000,
    ) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.objects = rows * columns
        self.end, self.padding, self.begin = self.objects, self.objects + 1, self.objects + 2
        self.crop_width = width // 2
        part = math.ceil(self.crop_width / 3)
        self.crop = CropEmbedding(crop_size, self.crop_width)
        # Learned in an earlier training and then kept fixed; four rows of zeros serve the extra tokens.
        self.register_buffer("places", torch.zeros(max(rows, columns) + 4, part))
        self.register_buffer("steps", sinusoid(longest, width))
        encoder_layer = nn.TransformerEncoderLayer(width, heads, feedforward, dropout, batch_first=True)
        decoder_layer = nn.TransformerDecoderLayer(width, heads, feedforward, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(encoder_layer, layers, enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decoder_layer, layers)
        self.pointers = nn.ModuleList(PointerHead(width) for _ in range(2))
        self.mix = nn.Linear(2, 1)

    def coordinates(self, tokens: Tensor, target: Tensor) -> Tensor:
        """(row, column, is the searched-for object) of tokens (B, L), given that object's number (B,)."""
        row, column = tokens // self.columns, tokens % self.columns
        begins = tokens == self.begin
        row = torch.where(begins, self.rows // 2, row)
        column = torch.where(begins, self.columns // 2, column)
        return torch.stack([row, column, (tokens == target[:, None]).long()], dim=-1)

    def embed(self, crops: Tensor, coordinates: Tensor) -> Tensor:
        """Pictures (B, L, 3, h, w) and places (B, L, 3) -> tokens (B, L, width)."""
        place = self.places[coordinates].flatten(-2)[..., : self.crop_width]
        return torch.cat([self.crop(crops), place], dim=-1)

    def forward(self, scene: Tensor, target: Tensor, looked_at: Tensor, looked_at_crops: Tensor) -> Tensor:
        """Logits of the next token at every step.

        Args:
            scene: pictures (B, n + 1, 3, h, w) of all objects, row by row, then of the searched-for one.
            target: int64 (B,), the number of the searched-for object.
            looked_at: int64 (B, L), a beginning, then the objects looked at so far; padded.
            looked_at_crops: their pictures (B, L, 3, h, w).

        Returns:
            (B, L, n + 2): the n objects, the end, and padding, which training ignores.
        """
        batch, length = looked_at.shape
        slots = torch.arange(self.objects, device=target.device).expand(batch, -1)
        # In the scene only the appended token is marked as the searched-for object, at that object's place.
        none = torch.full_like(target, -1)
        places = torch.cat([self.coordinates(slots, none), self.coordinates(target[:, None], target)], dim=1)
        objects = self.encoder(self.embed(scene, places))
        tokens = self.embed(looked_at_crops, self.coordinates(looked_at, target)) + self.steps[:length]
        later = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        absent = looked_at == self.padding
        states = self.decoder(tokens, objects, tgt_mask=later, tgt_key_padding_mask=absent)
        scores = torch.stack([pointer(objects, states) for pointer in self.pointers], dim=-1)
        return self.mix(scores).squeeze(-1)


def sinusoid(length: int, width: int) -> Tensor:
    """(length, width): sines at even and cosines at odd places, wavelengths from 2 pi to 10000 * 2 pi."""
    frequency = torch.exp(-torch.arange(0, width, 2) * math.log(10000) / width)
    angle = torch.arange(length)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)

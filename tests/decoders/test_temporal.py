"""The read-out of clips looks back only, streams, and tells what moves; ensembles average what they say."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from saliency_pred.decoders.ensemble import Ensemble
from saliency_pred.decoders.temporal import TemporalReadout
from saliency_pred.encoders.clip_view import ClipViewEncoder
from saliency_pred.encoders.parallel import ParallelEncoder
from saliency_pred.encoders.per_frame import PerFrameEncoder


def readout(**options: object) -> TemporalReadout:
    torch.manual_seed(0)
    made = TemporalReadout([6, 10], [4, 8], [1, 1], width=8, **options)  # type: ignore[arg-type]
    for parameter in made.parameters():  # biases of zero would hide mistakes
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


def features(frames: int = 9) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, 6, frames, 12, 18), torch.randn(2, 10, frames, 6, 9)]


@torch.no_grad()
def test_a_frame_is_predicted_from_itself_and_the_past() -> None:
    decoder, clip = readout(num_windows=9), features()
    before = decoder(clip)
    for changed in range(9):
        other = [f.clone() for f in clip]
        other[0][:, :, changed] += torch.randn(6, 12, 18)
        moved = (decoder(other) - before).abs().amax((0, 2, 3)) > 1e-6
        assert moved.tolist() == [frame >= changed for frame in range(9)]  # looks back 14 frames


@torch.no_grad()
@pytest.mark.parametrize("pieces", [(1,) * 9, (2, 3, 4), (8, 1)])
def test_a_video_in_pieces_gives_what_it_gives_whole(pieces: tuple[int, ...]) -> None:
    decoder, clip = readout(num_windows=9), features()
    state, found, begin = None, [], 0
    for length in pieces:
        logits, state = decoder.stream([f[:, :, begin : begin + length] for f in clip], state=state)
        found.append(logits)
        begin += length
    torch.testing.assert_close(torch.cat(found, dim=1), decoder(clip), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_video_begins_as_if_its_first_frame_had_always_stood() -> None:
    decoder, clip = readout(), features()
    longer = [torch.cat([f[:, :, :1]] * 20 + [f], dim=2) for f in clip]
    torch.testing.assert_close(decoder.stream(longer)[0][:, 20:], decoder.stream(clip)[0], rtol=0, atol=1e-5)


@torch.no_grad()
def test_positions_and_kernel_one() -> None:
    clip = features()
    every = readout(num_windows=9)(clip)
    torch.testing.assert_close(readout(position="last")(clip), every[:, -1:])
    torch.testing.assert_close(readout(position="centre")(clip), every[:, 4:5])
    stills = readout()([f[:, :, 0] for f in clip])  # clips of one frame
    torch.testing.assert_close(stills, readout()([f[:, :, :1] for f in clip]))
    static = readout(num_windows=9, kernel=1)
    shuffled = [f[:, :, [3, 1, 4, 0, 5, 8, 2, 6, 7]] for f in clip]
    torch.testing.assert_close(static(shuffled), static(clip)[:, [3, 1, 4, 0, 5, 8, 2, 6, 7]], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"decoder\.position must be last, centre or all"):
        readout(position="middle")
    with pytest.raises(ValueError, match="predicts one frame"):
        readout(position="last", num_windows=9)


class Pixels(nn.Module):
    """Returns the normalised image, and its means over 2 x 2 cells."""

    channels = (3, 3)
    strides = (1, 2)
    mean, std = (0.5,) * 3, (0.5,) * 3

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> (B, 3, H, W) and (B, 3, H / 2, W / 2)."""
        return [image, nn.functional.avg_pool2d(image, 2)]


def test_per_frame_encoder_is_the_encoder_on_every_frame() -> None:
    encoder = PerFrameEncoder(Pixels())
    clip = torch.rand(2, 3, 5, 8, 12)
    assert (encoder.channels, encoder.strides, encoder.time_strides) == ([3, 3], [1, 2], [1, 1])
    for frame in range(5):
        for found, expected in zip(encoder(clip), Pixels()(clip[:, :, frame]), strict=True):
            torch.testing.assert_close(found[:, :, frame], expected)
    assert torch.equal(encoder(clip[:, :, 0])[0], clip[:, :, 0])  # images pass as they are


def test_learns_where_something_moves() -> None:
    """One of two dots moves up and down; where each is, and what each frame shows, says nothing about which."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)

    def clips(number: int) -> tuple[Tensor, Tensor]:
        image = torch.zeros(number, 3, 6, 16, 32)
        side = torch.randint(0, 2, (number,), generator=generator)
        for i in range(number):
            for here in (0, 1):
                phase = int(torch.randint(0, 2, (1,), generator=generator))
                for frame in range(6):
                    row = 7 + (phase + frame) % 2 if here == side[i] else 7 + phase
                    image[i, :, frame, row : row + 2, 8 + 16 * here : 10 + 16 * here] = 1
        return image, side

    def accuracy(decoder: nn.Module, image: Tensor, side: Tensor) -> float:
        density = decoder(encoder(image)).flatten(2).softmax(-1).unflatten(-1, (16, 32))[:, 0]
        right = density[..., 16:].sum((-2, -1)) > 0.5
        return (right == side.bool()).float().mean().item()

    encoder = PerFrameEncoder(Pixels())
    found = {}
    for kernel in (1, 2):
        torch.manual_seed(0)
        decoder = TemporalReadout([3, 3], [1, 2], [1, 1], 1, "last", width=8, stride=1, kernel=kernel, dilations=(1,))
        optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)
        for _ in range(40):
            image, side = clips(8)
            log_density = decoder(encoder(image)).flatten(2).log_softmax(-1).unflatten(-1, (16, 32))[:, 0]
            loss = -log_density[torch.arange(8), 8, 9 + 16 * side].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            found[kernel] = accuracy(decoder.eval(), *clips(60))
    assert found[2] > 0.95
    assert found[1] < 0.75  # chance, for the model of single frames


class Constant(nn.Module):
    """The logarithm of a fixed map, whatever the features."""

    num_windows = 1
    position = "last"

    def __init__(self, channels: list[int], strides: list[int], time_strides: list[int], map: Tensor) -> None:
        super().__init__()
        self.seen = (list(channels), list(strides), list(time_strides))
        self.map = map

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> (1, 1, h, w)."""
        assert [f.shape[1] for f in features] == self.seen[0]
        return self.map.log()[None, None]


def test_ensemble_averages_maps_or_log_densities() -> None:
    large, small = torch.rand(8, 12) + 0.1, torch.rand(4, 6) + 0.1
    members = {"a": partial(Constant, map=large), "b": partial(Constant, map=small)}
    arguments = ([1, 2, 3], [1, 2, 4], members, [1, 2], [1, 1, 2])
    given = [torch.zeros(1, c, 2, 2, 2) for c in (1, 2, 3)]
    maps = Ensemble(*arguments)
    assert maps.members["b"].seen == ([2, 3], [2, 4], [1, 2])
    enlarged = nn.functional.interpolate(small[None, None], size=(8, 12), mode="bicubic")[0, 0]
    torch.testing.assert_close(maps(given)[0, 0].exp(), (large + enlarged) / 2)
    densities = Ensemble(*arguments, average="log_densities")
    logs = nn.functional.interpolate(small.log()[None, None], size=(8, 12), mode="bilinear")
    expected = (large.log().flatten().log_softmax(0) + logs.flatten().log_softmax(0)) / 2
    torch.testing.assert_close(densities(given).flatten(), expected)
    with pytest.raises(ValueError, match="2 members take"):
        Ensemble([1, 2, 3], [1, 2, 4], members, [1, 1], [1, 1, 2])
    with pytest.raises(ValueError, match="average must be"):
        Ensemble(*arguments, average="median")  # type: ignore[arg-type]


def test_views_of_a_clip_and_their_normalisation() -> None:
    """Of 64 frames around number 32, ViNet-S sees the 32 up to it, ViNet-A every second one from number 1."""
    clip = torch.arange(64.0).view(1, 1, 64, 1, 1).expand(1, 3, 64, 4, 6) / 64
    views = {
        "s": ClipViewEncoder(PerFrameEncoder(Pixels()), 1, 33, size=[8, 12]),
        "a": ClipViewEncoder(PerFrameEncoder(Pixels()), 1, step=2),
    }
    pair = ParallelEncoder(views)
    assert (pair.channels, pair.time_strides) == ([3] * 4, [1] * 4)
    s, _, a, _ = pair(clip)
    assert s.shape[-2:] == (8, 12)
    assert (a.shape[2], a.shape[-2:]) == (32, (4, 6))
    numbers = [((f[0, 0, :, 0, 0] * 0.5 + 0.5) * 64).round().int().tolist() for f in (s, a)]
    assert numbers == [list(range(1, 33)), list(range(1, 64, 2))]

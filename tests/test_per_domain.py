"""Parameters of domains: their own for the known, the mean for the others, in the blur and in the centre bias."""

from __future__ import annotations

import torch

from saliency_pred.decoders.readout import Readout
from saliency_pred.density import CentreBias
from saliency_pred.model import CentreBiasPrior
from saliency_pred.per_domain import PerDomain


def test_known_domains_have_their_own_number_and_all_others_the_mean() -> None:
    parameter = PerDomain(0.0, [7, 9])
    with torch.no_grad():
        parameter.value.copy_(torch.tensor([1.0, 4.0]))
    assert parameter(torch.tensor([9, 7, 8, -1, 1]), 5).tolist() == [4.0, 1.0, 2.5, 2.5, 2.5]
    assert parameter(None, 2).tolist() == [2.5, 2.5]
    parameter(torch.tensor([9]), 1).sum().backward()
    assert parameter.value.grad is not None
    assert parameter.value.grad.tolist() == [0.0, 1.0], "an image teaches its own domain only"


def test_without_domains_all_images_share_one_number() -> None:
    assert PerDomain(3.0)(torch.tensor([0, 5]), 2).tolist() == [3.0, 3.0]


def test_each_domain_is_blurred_by_its_own_width() -> None:
    torch.manual_seed(0)
    decoder = Readout([4], [8], sigma=1.5, domains=[7, 8]).eval()
    plain = Readout([4], [8], sigma=0).eval()
    plain.load_state_dict(decoder.state_dict(), strict=False)
    features = [torch.randn(3, 4, 12, 16)]
    assert decoder.log_sigma is not None
    with torch.no_grad():
        decoder.log_sigma.value.copy_(torch.tensor([0.5, 4.0]).log())
        sharp = plain(features)
        together = decoder(features, torch.tensor([8, 7, 3]))
        alone = [decoder([features[0][i : i + 1]], torch.tensor([d])) for i, d in enumerate((8, 7, 3))]
        unknown = decoder([features[0][2:]])
    torch.testing.assert_close(together, torch.cat(alone))
    torch.testing.assert_close(together[2:], unknown)  # the geometric mean of the widths
    kept = together.flatten(1).std(1) / sharp.flatten(1).std(1)
    assert kept[0] < kept[2] < kept[1]


def test_each_domain_weighs_the_centre_bias_its_own_way() -> None:
    prior = CentreBiasPrior(domains=[7, 8])
    density = torch.rand(1, 64, 64, dtype=torch.float64) + 0.1
    prior.fit(CentreBias(density / density.sum()))
    with torch.no_grad():
        prior.weight.value.copy_(torch.tensor([0.5, 1.5]))
        maps = prior((24, 32), None, torch.tensor([7, 8, 1]))
        padded = prior(
            (24, 32),
            torch.ones(2, 24, 32, dtype=torch.bool).index_fill_(1, torch.tensor([23]), False),
            torch.tensor([7, 8]),
        )
    torch.testing.assert_close(maps[0] * 3, maps[1])
    torch.testing.assert_close(maps[2], prior((24, 32), None)[0])
    torch.testing.assert_close(padded[0] * 3, padded[1])

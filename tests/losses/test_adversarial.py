"""The losses of DUAL against their equations, worked out with numpy loops or by hand."""

import math

import numpy as np
import pytest
import torch

from vitreous.losses import (
    code_divergence,
    discriminator_loss,
    feature_distance,
    generator_loss,
    reconstruction_loss,
)


def volumes(seed, shape=(3, 1, 4, 5, 6)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_reconstruction_is_equations_4_and_5():
    a, b, epsilon = volumes(0), volumes(0) + 0.5 * volumes(1), 1e-3
    expected = []
    for x, y in zip(a.double().numpy(), b.double().numpy(), strict=True):
        square = np.mean((x - y) ** 2)
        correlation = np.corrcoef(x.ravel(), y.ravel())[0, 1]
        expected.append(math.log(square + epsilon) + math.log(1 - correlation + epsilon))
    assert float(reconstruction_loss(a, b, epsilon)) == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_perfect_reconstruction_is_finite_and_so_is_its_gradient():
    a = volumes(0)
    b = a.clone().requires_grad_()
    loss = reconstruction_loss(a, b)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(2 * math.log(1e-4), rel=0.01)
    assert torch.isfinite(b.grad).all()
    printed = (a - a).square().mean().log()  # the equation as it is printed
    assert not torch.isfinite(printed)


def test_a_constant_volume_is_finite_too():
    a, b = volumes(0), torch.zeros(3, 1, 4, 5, 6, requires_grad=True)
    reconstruction_loss(a, b).backward()
    assert torch.isfinite(b.grad).all()


def test_adversarial_losses_are_equations_6_to_8():
    real, fake = volumes(0, (2, 7)), volumes(1, (2, 7))
    d_real, d_fake = (1 / (1 + np.exp(-x.double().numpy())) for x in (real, fake))
    expected = np.mean(-np.log(d_real)) + np.mean(-np.log(1 - d_fake))
    assert float(discriminator_loss(real, fake)) == pytest.approx(expected, rel=1e-5)
    assert float(generator_loss(fake)) == pytest.approx(np.mean(-np.log(d_fake)), rel=1e-5)
    undecided = torch.zeros(2, 3)
    assert float(discriminator_loss(undecided, undecided)) == pytest.approx(2 * math.log(2))
    certain = torch.full((1, 1), 200.0)  # its sigmoid is 1 in float32, whose log(1 - D) would be infinite
    assert float(discriminator_loss(-certain, certain)) == pytest.approx(400)


def test_divergence_is_equation_9():
    codes = volumes(0, (40, 3)) * torch.tensor([0.5, 1.0, 2.0]) + torch.tensor([0.0, 1.0, -1.0])
    x = codes.double().numpy()
    mean, covariance = x.mean(0), np.zeros((3, 3))
    for one in x:
        covariance += np.outer(one - mean, one - mean) / (len(x) - 1)
    inverse = np.linalg.inv(covariance)
    logarithm = math.log(np.linalg.det(covariance))
    expected = 0.5 * (np.trace(inverse) + mean @ inverse @ mean - 3 + logarithm)
    none = torch.zeros(0, 3)
    assert float(code_divergence(codes, none, shrinkage=0)) == pytest.approx(expected, rel=1e-4)
    parted = code_divergence(codes[:4], codes[4:], shrinkage=0)
    assert float(parted) == pytest.approx(expected, rel=1e-4)  # a queue is part of the sample


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_divergence_is_defined_for_batches_smaller_than_the_code(batch):
    codes = volumes(0, (batch, 8)).requires_grad_()
    loss = code_divergence(codes, torch.zeros(0, 8))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(codes.grad).all()


def test_divergence_of_codes_that_nearly_agree_is_the_same_in_mixed_precision():
    """In bfloat16 the covariance of such codes is not positive definite; within 1e-6."""
    codes = volumes(0, (64, 8)) + torch.linspace(-30, 30, 64)[:, None] * torch.ones(8)
    exact = code_divergence(codes[:2], codes[2:])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = code_divergence(codes[:2], codes[2:])
    assert float(mixed) == pytest.approx(float(exact), rel=1e-6)


def reached_variance(batch, remembered, steps=700):
    """Variance of codes a·x + b after training a and b on the divergence alone."""
    generator = torch.Generator().manual_seed(1)
    layer = torch.nn.Linear(8, 8)
    with torch.no_grad():
        layer.weight.copy_(3 * torch.eye(8))
        layer.bias.fill_(1.0)
    optimizer = torch.optim.Adam(layer.parameters(), 0.02)
    queue = torch.zeros(0, 8)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        codes = layer(torch.randn(batch, 8, generator=generator))
        loss = code_divergence(codes, queue)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        queue = torch.cat([queue, codes.detach()])[-remembered:] if remembered else queue
    with torch.no_grad():
        many = layer(torch.randn(20000, 8, generator=generator))
    return float(many.var(0).mean())


@pytest.mark.parametrize(("batch", "steps"), [(4, 2000), (16, 700)])
def test_a_queue_brings_the_variance_of_codes_to_one(batch, steps):
    """Tolerance 0.1; without the queue a batch of 16 is pulled to about 2.5."""
    assert reached_variance(batch, 256, steps) == pytest.approx(1, abs=0.1)


def test_a_batch_alone_is_pulled_away_from_one():
    assert reached_variance(16, 0) > 1.5


def test_feature_distance_compares_batch_means():
    real, fake = [torch.tensor([[1.0, 2.0], [3.0, 4.0]])], [torch.tensor([[0.0, 0.0], [2.0, 2.0]])]
    assert float(feature_distance(real, fake)) == pytest.approx((1 + 2) / 2)

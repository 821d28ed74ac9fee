"""Long-lived tensors side by side, and recomputation that keeps only the inputs of layers."""

import torch

from engine.block import side_by_side
from engine.fused.recomputation import recomputed


def test_tensors_share_a_storage_and_no_bytes():
    shapes = [torch.empty(3, 2, dtype=torch.bfloat16), torch.empty(5, dtype=torch.bfloat16), torch.empty(1, 4, dtype=torch.bfloat16)]
    found = side_by_side(shapes)
    for number, tensor in enumerate(found):
        tensor.fill_(number + 1)
    assert [tensor.unique().tolist() for tensor in found] == [[1], [2], [3]]
    assert [tensor.shape for tensor in found] == [shape.shape for shape in shapes]
    assert len({tensor.untyped_storage().data_ptr() for tensor in found}) == 1
    assert not any(tensor._is_view() for tensor in found)


def test_recomputation_keeps_the_input_alone_and_gives_the_same_gradient():
    torch.manual_seed(0)
    x, weight = torch.randn(7, 5, requires_grad=True), torch.randn(5, 5, requires_grad=True)
    calls = []

    def layer(states: torch.Tensor) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return torch.tanh(states @ weight) * states

    wanted = torch.autograd.grad(layer(layer(x)).sum(), [x, weight])
    calls.clear()
    kept = []
    places = side_by_side([x.detach()])
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        middle = recomputed(layer, x, [weight], places[0])
        result = recomputed(layer, middle, [weight]).sum()
    assert calls == [False, False] and middle.data_ptr() == places[0].data_ptr()
    assert [tensor.shape for tensor in kept if tensor.shape != weight.shape] == [x.shape, x.shape]
    assert all(torch.equal(found, right) for found, right in zip(torch.autograd.grad(result, [x, weight]), wanted, strict=True))
    assert calls == [False, False, True, True]


def test_an_input_in_the_hosts_memory_is_a_copy_and_gives_the_same_gradient():
    """What the layer was given can go while the copy waits, so no kept tensor shares its bytes."""
    torch.manual_seed(0)
    x, weight = torch.randn(7, 5, requires_grad=True), torch.randn(5, 5, requires_grad=True)
    found, kept = [], []
    for in_host in (False, True):
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
            result = recomputed(lambda states: torch.tanh(states @ weight), x, [weight], in_host=in_host).sum()
        found.append(torch.autograd.grad(result, [x, weight]))

    inputs = [tensor for tensor in kept if tensor.shape == x.shape]
    assert [tensor.data_ptr() == x.data_ptr() for tensor in inputs] == [True, False] and torch.equal(inputs[1], x)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_first_layer_whose_input_is_frozen_still_trains():
    x, weight = torch.randn(4, 3), torch.randn(3, 3, requires_grad=True)
    recomputed(lambda states: states @ weight, x, [weight]).sum().backward()
    assert torch.allclose(weight.grad, x.sum(0)[:, None].expand(3, 3))

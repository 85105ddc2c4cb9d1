import pytest
import torch
from torch import nn

from radvlm_course.training.optimizers import Float32Muon, MuonWithAdamW, optimizer_for, orthogonalised


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.hidden = nn.Linear(4, 8)
        self.last = nn.Linear(4, 6, bias=False)
        self.last.weight = self.embedding.weight  # tied

    def forward(self, tokens):
        return self.hidden(self.embedding(tokens)).square().sum()


def net():
    torch.manual_seed(0)
    return Net()


def train(optimizer, model, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.arange(6)).backward()
        optimizer.step()


def test_hidden_matrices_go_to_muon_and_everything_else_to_adamw_each_once():
    model = net()
    muon, adamw = MuonWithAdamW([model], 0.02, 1e-3).parts
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    assert [id(p) for p in muon.param_groups[0]["params"]] == [id(model.hidden.weight)]
    assert {id(p) for p in adamw.param_groups[0]["params"]} == {id(model.embedding.weight), id(model.hidden.bias)}


def test_a_tied_last_layer_read_outs_and_large_matrices_are_left_to_adamw():
    model, head = net(), nn.Linear(8, 2)
    muon, adamw = MuonWithAdamW([model], 0.02, 1e-3, read_outs=[head]).parts
    assert len(muon.param_groups[0]["params"]) == 1
    assert {id(p) for p in head.parameters()} <= {id(p) for p in adamw.param_groups[0]["params"]}
    (only,) = MuonWithAdamW([model], 0.02, 1e-3, largest_matrix=31).parts  # hidden.weight has 32 entries
    assert isinstance(only, torch.optim.AdamW)


def test_frozen_parameters_do_not_move_and_all_frozen_is_an_error():
    model = net()
    model.embedding.requires_grad_(False)
    before = model.embedding.weight.clone()
    train(MuonWithAdamW([model], 0.02, 1e-3), model, 3)
    assert torch.equal(model.embedding.weight, before)
    with pytest.raises(ValueError, match="requires_grad=False"):
        MuonWithAdamW([model.requires_grad_(False)], 0.02, 1e-3)


def test_a_muon_step_moves_a_matrix_in_all_directions_by_about_its_learning_rate():
    model = net()
    before = model.hidden.weight.detach().clone()
    train(MuonWithAdamW([model], 0.02, 1e-3), model, 1)
    moved = torch.linalg.svdvals(model.hidden.weight.detach() - before)
    # Newton-Schulz leaves singular values between about 0.7 and 1.2; tall matrices are scaled by sqrt(rows / columns).
    assert (moved / (0.02 * 2**0.5)).min() > 0.5 and (moved / (0.02 * 2**0.5)).max() < 1.5


def test_one_schedule_drives_both_parts():
    optimizer = MuonWithAdamW([net()], 0.02, 1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    optimizer.step()
    schedule.step()
    assert [part.param_groups[0]["lr"] for part in optimizer.parts] == [0.01, 5e-4]


def test_a_saved_state_goes_on_as_if_nothing_had_happened(tmp_path):
    straight, cut = net(), net()
    train(MuonWithAdamW([straight], 0.02, 1e-3), straight, 6)
    first = MuonWithAdamW([cut], 0.02, 1e-3)
    train(first, cut, 3)
    torch.save(first.state_dict(), tmp_path / "optimizer.pt")
    second = MuonWithAdamW([cut], 0.02, 1e-3)
    second.load_state_dict(torch.load(tmp_path / "optimizer.pt"))
    train(second, cut, 3)
    torch.testing.assert_close(cut.hidden.weight, straight.hidden.weight)
    torch.testing.assert_close(cut.embedding.weight, straight.embedding.weight)


def test_the_state_of_another_optimizer_is_refused():
    model = net()
    with pytest.raises(ValueError, match="another optimizer"):
        MuonWithAdamW([model], 0.02, 1e-3).load_state_dict(torch.optim.AdamW(model.parameters()).state_dict())


COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # torch.optim.Muon's defaults


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_orthogonalising_keeps_the_singular_vectors_and_brings_the_values_near_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(*shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalised(matrix[None], COEFFICIENTS, steps=5, eps=1e-7)[0]
    in_their_basis = left.T @ found @ right.T  # diagonal if the vectors are the same
    values = in_their_basis.diagonal()
    torch.testing.assert_close(in_their_basis, torch.diag(values), atol=1e-4, rtol=0)
    assert values.min() > 0.6 and values.max() < 1.3


def test_matrices_orthogonalised_together_come_out_as_alone_and_zero_stays_zero():
    torch.manual_seed(0)
    matrices = torch.stack([torch.randn(5, 3), torch.zeros(5, 3), 1e-3 * torch.randn(5, 3)])
    together = orthogonalised(matrices, COEFFICIENTS, steps=5, eps=1e-7)
    for index in range(3):
        torch.testing.assert_close(
            together[index], orthogonalised(matrices[index : index + 1], COEFFICIENTS, 5, 1e-7)[0]
        )
    assert torch.equal(together[1], torch.zeros(5, 3))


@pytest.mark.parametrize("nesterov", [True, False])
def test_single_precision_muon_takes_the_steps_of_pytorchs_up_to_bfloat16(nesterov):
    torch.manual_seed(0)
    start = [torch.randn(4, 8), torch.randn(8, 4), torch.randn(8, 4)]
    moved = []
    for kind in (torch.optim.Muon, Float32Muon):
        parameters = [nn.Parameter(matrix.clone()) for matrix in start]
        optimizer = kind(parameters, lr=0.02, weight_decay=0.1, nesterov=nesterov)
        for step in range(4):
            for index, parameter in enumerate(parameters):
                parameter.grad = torch.sin(parameter.detach() * (step + 1) + index)
            optimizer.step()
        moved.append([parameter.detach() for parameter in parameters])
    for theirs, ours, before in zip(*moved, start, strict=True):
        assert (ours - before).abs().max() > 0.02
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)


def test_a_matrix_without_gradient_stays():
    resting, moving = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(3, 2))
    moving.grad = torch.eye(3, 2)
    Float32Muon([resting, moving], lr=0.1, weight_decay=0.0).step()
    assert torch.equal(resting, torch.ones(3, 2))
    assert not torch.equal(moving, torch.ones(3, 2))


def test_a_trainer_gets_muon_only_where_a_rate_is_given():
    from trl import SFTConfig

    options = SFTConfig(
        output_dir="unused", learning_rate=1e-3, weight_decay=0.1, adam_beta2=0.98, report_to=[], use_cpu=True
    )
    assert optimizer_for(net(), options, None) is None
    muon, adamw = optimizer_for(net(), options, 0.02).parts
    assert muon.param_groups[0]["lr"] == 0.02
    assert adamw.param_groups[0]["betas"] == (0.9, 0.98) and adamw.param_groups[0]["weight_decay"] == 0.1

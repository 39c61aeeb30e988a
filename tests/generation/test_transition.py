"""The state that goes along with the camera, with kernels set by hand: no training is needed to see what it does."""

import torch

from reverie.generation.transition import Transition

LEFT, STAY, UNKNOWN = range(3)
VALUE, MARK = range(2)


def shifting():
    """Believes marked frames alone; moves by a cell to the right for a camera that goes left, else not at all."""
    transition = Transition(in_channels=2, latent_channels=1, num_actions=3, width=2).requires_grad_(False)
    for layer in (transition.enter, transition.gate, transition.change, transition.guess):
        layer.weight.zero_()
        layer.bias.zero_()
    torch.nn.init.dirac_(transition.enter.weight)
    transition.gate.weight[:, MARK, 1, 1] = 200
    transition.gate.bias.fill_(-100)
    transition.guess.weight[0, VALUE] = 1
    kernels = torch.zeros(3, 2, 2, 3, 3)
    for action, column in ((LEFT, 0), (STAY, 1), (UNKNOWN, 1)):
        kernels[action, VALUE, VALUE, 1, column] = 1
    transition.moves.copy_(kernels.flatten(2))
    return transition


def film(values, marks):
    told = torch.tensor(marks, dtype=torch.float).reshape(1, 1, -1, 1, 1).expand_as(values)
    return torch.cat([values, told], dim=1)


def test_what_was_given_goes_along_with_the_camera_through_noise():
    torch.manual_seed(0)
    values = torch.randn(1, 1, 5, 4, 4)
    actions = torch.tensor([[UNKNOWN, LEFT, LEFT, STAY, LEFT]])
    _, guesses = shifting()(film(values, [1, 0, 0, 0, 0]), actions)
    given = values[0, 0, 0]
    for frame, moved in enumerate((0, 1, 2, 2, 3)):
        expected = torch.zeros(4, 4)
        expected[:, moved:] = given[:, : 4 - moved]
        torch.testing.assert_close(guesses[0, 0, frame], expected)


def test_a_frame_that_is_believed_takes_the_place_of_what_was():
    values = torch.stack([torch.zeros(4, 4), torch.ones(4, 4), torch.full((4, 4), 2.0)])[None, None]
    states, guesses = shifting()(film(values, [1, 1, 0]), torch.tensor([[UNKNOWN, STAY, STAY]]))
    assert states.shape == (1, 2, 3, 4, 4)
    assert [guess.mean().item() for guess in guesses[0, 0]] == [0, 1, 1]


def test_later_frames_change_nothing_of_earlier_ones():
    torch.manual_seed(0)
    transition, actions = Transition(2, 1, 3, 4), torch.tensor([[UNKNOWN, LEFT, STAY]])
    frames = torch.randn(1, 2, 3, 4, 4)
    changed = frames.clone()
    changed[:, :, 2] += 1
    before, after = transition(frames, actions)[0], transition(changed, actions)[0]
    assert torch.equal(before[:, :, :2], after[:, :, :2])
    assert not torch.equal(before[:, :, 2], after[:, :, 2])

"""A state of the scene that goes along with the camera: moved as each action says, then met by the next frame.

    m_t = K_a s_(t-1)                 moved as action a says
    g_t = sigmoid(G [x_t, m_t])
    c_t = x_t + C silu(H [x_t, m_t])
    s_t = (1 - g_t) m_t + g_t c_t

A convolutional recurrence (Ballas et al. 2016) over the latents of a chunk, in which actions multiply (Oh et al. 2015):
each has a kernel K of its own. How noisy a frame is, it is told, so the gate can leave a noisy one out. What was given
reaches frames that lie many moves away within one pass; the convolutions and the attentions (over time, pixel by pixel)
of a UNet3D move it by a cell or two, and learn even that slowly.

The guess that is read out of the state is trained to be the clean latents. The UNet has both as channels of its input.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


class Transition(nn.Module):
    """From what enters a UNet to a state of each frame.

    Args:
        in_channels: of what enters.
        latent_channels: of the guess.
        num_actions: with the one that is not told.
        width: channels of the state.
    """

    def __init__(self, in_channels: int, latent_channels: int, num_actions: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, width, 3, padding=1)
        self.gate = nn.Conv2d(2 * width, width, 3, padding=1)
        self.hidden = nn.Conv2d(2 * width, width, 3, padding=1)
        self.change = nn.Conv2d(width, width, 3, padding=1)
        self.guess = nn.Conv2d(width, latent_channels, 1)
        stays = nn.init.dirac_(torch.empty(width, width, 3, 3))
        # (A, S, S x 9): an action's kernel over the patches of a state
        self.moves = nn.Parameter((stays + 0.01 * torch.randn(num_actions, width, width, 3, 3)).flatten(2))

    def forward(
        self, entering: Float[Tensor, "b k f h w"], actions: Int64[Tensor, "b f"]
    ) -> tuple[Float[Tensor, "b s f h w"], Float[Tensor, "b c f h w"]]:
        """States, and guesses of the clean latents."""
        batch, _, num_frames = entering.shape[:3]
        seen = self.enter(entering.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, num_frames))
        state, states = torch.zeros_like(seen[:, 0]), []
        for frame, action in zip(seen.unbind(1), actions.unbind(1), strict=True):
            patches = nn.functional.unfold(state, 3, padding=1)
            moved = (self.moves[action] @ patches).reshape(state.shape)
            met = torch.cat([frame, moved], dim=1)
            changed = frame + self.change(nn.functional.silu(self.hidden(met)))
            state = torch.lerp(moved, changed, self.gate(met).sigmoid())
            states.append(state)
        guesses = [self.guess(state) for state in states]
        return torch.stack(states, dim=2), torch.stack(guesses, dim=2)

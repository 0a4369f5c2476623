"""A small transformer that predicts the next character, and low-rank adapters for it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

import text

WIDTH, HEADS, LAYERS, LENGTH = 64, 4, 2, 48


class Adapted(nn.Module):
    """A frozen linear layer and a low-rank change of it, W + B A (Hu et al., arXiv 2106.09685)."""

    def __init__(self, frozen: nn.Linear, rank: int) -> None:
        super().__init__()
        self.frozen = frozen
        inputs = frozen.in_features
        self.lora_a = nn.Parameter(torch.randn(rank, inputs) * inputs ** -0.5)
        self.lora_b = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.frozen(x) + x @ self.lora_a.T @ self.lora_b.T


class Block(nn.Module):
    """Causal attention, then a perceptron, each on a normalised input and added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, _ = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(n, length, 3, HEADS, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, WIDTH))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x))))


class Transformer(nn.Module):
    """Scores [n, t, characters] of the characters that follow those of [n, t], t at most LENGTH."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(len(text.ALPHABET), WIDTH)
        self.places = nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(text.ALPHABET))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def adapted(base: Transformer, rank: int) -> Transformer:
    """`base` with adapters in all its blocks: they alone are trained."""
    model = Transformer()
    model.load_state_dict(base.state_dict())
    model.requires_grad_(False)
    for block in model.blocks:
        for name in ("qkv", "out", "up", "down"):
            setattr(block, name, Adapted(getattr(block, name), rank))
    return model


def adapters(model: nn.Module) -> dict[str, torch.Tensor]:
    """What travels: the adapters' tensors by name."""
    return {name: tensor for name, tensor in model.state_dict().items() if "lora_" in name}


def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


def fit(model: nn.Module, characters: torch.Tensor, steps: int, size: int, rate: float) -> float:
    """Trains what is not frozen; the mean loss."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer, losses = torch.optim.AdamW(trained, lr=rate), []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model, *text.batch(characters, size, LENGTH))
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def perplexity(model: nn.Module, characters: torch.Tensor) -> float:
    """Of all characters of a text, in pieces of LENGTH."""
    pieces = characters[:(len(characters) - 1) // LENGTH * LENGTH].view(-1, LENGTH)
    following = characters[1:pieces.numel() + 1].view(-1, LENGTH)
    return loss(model, pieces, following).exp().item()

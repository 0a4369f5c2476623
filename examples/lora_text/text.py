"""Text made up from a seed: everyday sentences that everybody has, and the reports of one site."""

from __future__ import annotations

import torch

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz."
EVERYDAY = (["the cat", "a dog", "my friend", "the teacher", "our neighbour", "the child"],
            ["sees", "likes", "paints", "finds", "remembers", "forgets"],
            ["the house", "a tree", "the river", "an old boat", "the garden", "a song"],
            ["in the morning", "every day", "after school", "with a smile", "by the sea"])
REPORTS = (["pump", "valve", "boiler", "turbine", "conveyor", "furnace"],
           ["leaks oil", "runs hot", "vibrates", "lost pressure", "is jammed", "tripped"],
           ["near the north gate", "under load", "at the weld", "behind the panel"],
           ["replaced seal", "tightened bolts", "ordered parts", "reset breaker", "needs a check"])


def sentences(parts: tuple[list[str], ...], count: int, seed: int) -> torch.Tensor:
    """`count` sentences one after another, as indices into ALPHABET [n]."""
    generator = torch.Generator().manual_seed(seed)
    lines = []
    for _ in range(count):
        # The square makes the first words of each list the most frequent ones.
        words = [part[int(torch.rand(1, generator=generator).item() ** 2 * len(part))]
                 for part in parts]
        lines.append(" ".join(words) + ".\n")
    return torch.tensor([ALPHABET.index(character) for character in "".join(lines)])


def report(site: int, count: int = 200) -> torch.Tensor:
    """The reports of a site [n], where other troubles are frequent than elsewhere."""
    turned = tuple(part[site % len(part):] + part[:site % len(part)] for part in REPORTS)
    return sentences(turned, count, 1000 + site)


def batch(text: torch.Tensor, size: int, length: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pieces of a text, and for each character the one that follows: [size, length] each."""
    first = torch.randint(len(text) - length, (size, 1)) + torch.arange(length)
    return text[first], text[first + 1]

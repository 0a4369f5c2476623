"""Mods: what they do to a reply, against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from umbel import InvalidArgument
from umbel.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp, mod

SEED = 77


class Calls:
    """What mods use of a Context."""

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed
        self.lines: list[str] = []

    def log(self, message: str, level: str = "info") -> None:
        self.lines.append(message)


def asked(arrays: dict, message_type: str = "train", **config) -> Message:
    return Message(RecordDict({"arrays": ArrayRecord(arrays), "config": ConfigRecord(config)}),
                   dst_node_id=1, message_type=message_type)


def trained(arrays: dict):
    def action(message, context):
        return Message(RecordDict({"arrays": ArrayRecord(arrays),
                                   "metrics": MetricRecord({"num-examples": 1})}),
                       reply_to=message)
    return action


def update(before: dict, reply: Message) -> float:
    return math.sqrt(sum(float(((reply.content["arrays"][name].numpy().astype(float) - array) ** 2
                                ).sum()) for name, array in before.items()))


BEFORE = {"w": np.ones((3, 4), np.float32), "b": np.zeros(5)}
AFTER = {"w": np.full((3, 4), 2, np.float32), "b": np.ones(5)}
LENGTH = math.sqrt(17)


@pytest.mark.parametrize("limit", [0.5, 4.0, 5.0])
def test_an_update_is_as_long_as_the_limit_at_most_and_keeps_its_direction(limit):
    reply = mod.fixedclipping_mod(asked(BEFORE, clipping_norm=limit), Calls(), trained(AFTER))
    share = min(1.0, limit / LENGTH)
    assert update(BEFORE, reply) == pytest.approx(share * LENGTH, rel=1e-6)
    for name, array in reply.content["arrays"].items():
        np.testing.assert_allclose(array.numpy(), BEFORE[name] + share, rtol=1e-6)
        assert array.numpy().dtype == BEFORE[name].dtype


def test_an_update_made_in_place_is_clipped_too():
    """The action may train on the message's own arrays."""
    shared = {name: array.copy() for name, array in BEFORE.items()}

    def action(message, context):
        for array in shared.values():
            array += 1
        return trained(shared)(message, context)
    reply = mod.fixedclipping_mod(asked(shared, clipping_norm=1.0), Calls(), action)
    assert update(BEFORE, reply) == pytest.approx(1, rel=1e-6)


def test_the_bit_says_whether_the_update_was_within():
    for limit, bit in ((4.0, 0), (5.0, 1)):
        reply = mod.adaptiveclipping_mod(asked(BEFORE, clipping_norm=limit), Calls(),
                                         trained(AFTER))
        assert reply.content["metrics"]["norm_bit"] == bit


def test_what_cannot_be_clipped_is_named():
    with pytest.raises(InvalidArgument, match='"clipping_norm" in the message\'s config is None'):
        mod.fixedclipping_mod(asked(BEFORE), Calls(), trained(AFTER))
    with pytest.raises(InvalidArgument, match=r"the arrays \['v'\], expected those"):
        mod.fixedclipping_mod(asked(BEFORE, clipping_norm=1.0), Calls(),
                              trained({"v": np.ones(1)}))
    with pytest.raises(InvalidArgument, match=r'array "b" is float32\[5\], the client got float64'):
        mod.LocalDpMod(1, 1, 1, 1e-5)(asked(BEFORE), Calls(), trained(
            {"w": AFTER["w"], "b": AFTER["b"].astype(np.float32)}))


def test_evaluation_and_errors_pass():
    def fails(message, context):
        return Message(Error(2, "no"), reply_to=message)
    for one in (mod.fixedclipping_mod, mod.adaptiveclipping_mod, mod.LocalDpMod(1, 1, 1, 1e-5)):
        reply = one(asked(BEFORE, "evaluate"), Calls(), trained(AFTER))
        assert reply.content["arrays"]["w"].numpy().tolist() == AFTER["w"].tolist()
        assert one(asked(BEFORE, clipping_norm=1.0), Calls(), fails).has_error()


def test_noise_has_the_variance_of_the_gaussian_mechanism_and_no_mean():
    """The bounds are of five standard errors: 4 n of chi-square's and 1 / sqrt(n) of the mean's."""
    size, clip, sensitivity, epsilon, delta = 200_000, 3.0, 2.0, 0.8, 1e-5
    expected = sensitivity * math.sqrt(2 * math.log(1.25 / delta)) / epsilon
    before = {"w": np.zeros(size), "n": np.arange(3)}
    after = {"w": np.full(size, 1.0), "n": np.arange(3) + 1}
    dp = mod.LocalDpMod(clip, sensitivity, epsilon, delta, seeded=True)
    assert dp.standard_deviation == pytest.approx(expected)
    print(f"seed {SEED}")
    reply = dp(asked(before), Calls(), trained(after))
    noise = reply.content["arrays"]["w"].numpy() - clip / math.sqrt(size)
    assert abs(noise.var() / expected ** 2 - 1) < 5 * math.sqrt(2 / size)
    assert abs(noise.mean()) < 5 * expected / math.sqrt(size)
    assert reply.content["arrays"]["n"].numpy().tolist() == [1, 2, 3]


def test_noise_is_the_systems_own_unless_a_seed_is_asked_for():
    def noisy(dp, seed=SEED):
        reply = dp(asked(BEFORE), Calls(seed), trained(AFTER))
        return reply.content["arrays"]["b"].numpy().tolist()
    plain, seeded = mod.LocalDpMod(1, 1, 1, 1e-5), mod.LocalDpMod(1, 1, 1, 1e-5, seeded=True)
    assert noisy(plain) != noisy(plain)
    assert noisy(seeded) == noisy(seeded) != noisy(seeded, SEED + 1)


@pytest.mark.parametrize("name,value", [("clipping_norm", 0), ("sensitivity", -1), ("epsilon", 0),
                                        ("delta", 0), ("delta", 1), ("epsilon", math.inf)])
def test_parameters_outside_their_range_are_refused(name, value):
    fits = {"clipping_norm": 1.0, "sensitivity": 1.0, "epsilon": 1.0, "delta": 1e-5}
    with pytest.raises(InvalidArgument, match=f"LocalDpMod: {name} is"):
        mod.LocalDpMod(**{**fits, name: value})


def test_sizes_are_logged():
    calls = Calls()
    mod.message_size_mod(asked(BEFORE), calls, trained(AFTER))
    mod.arrays_size_mod(asked(BEFORE), calls, trained({"w": AFTER["w"]}))
    assert calls.lines[2] == 'arrays in: "arrays": 2 arrays, 17 elements, 88 bytes'
    assert calls.lines[3] == 'arrays out: "arrays": 1 arrays, 12 elements, 48 bytes'
    assert calls.lines[0].startswith("message: ") and calls.lines[1].endswith(" bytes out")


def test_mods_stand_around_an_apps_actions():
    app = ClientApp(mods=[mod.fixedclipping_mod])
    app.train()(trained(AFTER))
    reply = app(asked(BEFORE, clipping_norm=1.0), Calls())
    assert update(BEFORE, reply) == pytest.approx(1, rel=1e-6)


def test_secure_aggregation_is_named_as_absent():
    with pytest.raises(ImportError, match="has no secaggplus_mod in this version"):
        from umbel.clientapp.mod import secaggplus_mod  # noqa: F401

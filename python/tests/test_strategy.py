"""What strategies make of replies, against the papers' rules, step by step in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from umbel import InvalidArgument, _core
from umbel.app import Array, ArrayRecord, Error, Message, MetricRecord, RecordDict
from umbel.serverapp import strategy
from umbel.serverapp.strategy import strategy_utils

SEED = 20_240_917


def reply(node: int, arrays: dict, examples: float = 1, **metrics) -> Message:
    content = RecordDict({"arrays": ArrayRecord(arrays),
                          "metrics": MetricRecord({"num-examples": examples, **metrics})})
    message = Message(content, dst_node_id=1, message_type="train")
    message.metadata.src_node_id = node
    return message


def failed(node: int) -> Message:
    message = Message(error=Error(2, "out of order"), dst_node_id=1, message_type="train")
    message.metadata.src_node_id = node
    return message


def models(count: int, seed: int = SEED, spread: float = 1.0) -> list[dict]:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    return [{"w": rng.normal(size=(4, 5)).astype(np.float32) * spread,
             "b": rng.normal(size=3) * spread} for _ in range(count)]


def after(kind: strategy.FedAvg, replies: list[Message]) -> dict:
    arrays, _ = kind.aggregate_train(1, replies)
    return {name: array.numpy() for name, array in arrays.items()}


# --- the server's optimizers ----------------------------------------------------------------------

def papers_step(name: str, x, delta, m, v, rate, beta_1, beta_2, tau):
    """Reddi et al., algorithm 2; Hsu et al. for momentum."""
    if name == "momentum":
        m = beta_1 * m + delta
        return x + rate * m, m, v
    m = beta_1 * m + (1 - beta_1) * delta
    v = {"adam": beta_2 * v + (1 - beta_2) * delta ** 2,
         "yogi": v - (1 - beta_2) * delta ** 2 * np.sign(v - delta ** 2),
         "adagrad": v + delta ** 2}[name]
    return x + rate * m / (np.sqrt(v) + tau), m, v


@pytest.mark.parametrize("name,kind", [
    ("momentum", strategy.FedAvgM(server_learning_rate=0.3, server_momentum=0.7)),
    ("adam", strategy.FedAdam(eta=0.05, beta_1=0.8, beta_2=0.95, tau=0.01)),
    ("yogi", strategy.FedYogi(eta=0.05, beta_1=0.8, beta_2=0.95, tau=0.01)),
    ("adagrad", strategy.FedAdagrad(eta=0.05, tau=0.01)),
])
def test_optimizers_take_the_papers_steps(name, kind):
    rate, tau, beta_2 = (0.3, 0.0, 0.0) if name == "momentum" else (0.05, 0.01, 0.95)
    beta_1 = {"momentum": 0.7, "adagrad": 0.0}.get(name, 0.8)
    rng = np.random.default_rng(SEED)
    x, m, v = rng.normal(size=6), np.zeros(6), np.full(6, tau ** 2)
    optimizer = kind._optimizer()
    global_arrays = ArrayRecord({"x": x.copy()})
    for _ in range(5):
        mean = rng.normal(size=6)
        x, m, v = papers_step(name, x, mean - x, m, v, rate, beta_1, beta_2, tau)
        global_arrays = optimizer.apply(global_arrays, ArrayRecord({"x": mean}))
        np.testing.assert_allclose(global_arrays["x"].numpy(), x, rtol=1e-13)


def test_defaults_and_settings_that_cannot_be():
    assert (strategy.FedAdam().eta, strategy.FedAdam().tau) == (0.1, 1e-3)
    for make in (lambda: strategy.FedAdam(tau=0), lambda: strategy.FedYogi(beta_1=1.0),
                 lambda: strategy.FedAvgM(server_momentum=1.5),
                 lambda: strategy.FedAvgM(server_learning_rate=0),
                 lambda: strategy.FedProx(proximal_mu=-1),
                 lambda: strategy.FedAvg(fraction_train=1.5),
                 lambda: strategy.FedTrimmedAvg(beta=0.5),
                 lambda: strategy.MultiKrum(num_nodes_to_select=0),
                 lambda: strategy.QFedAvg(client_learning_rate=0),
                 lambda: strategy.FedXgbCyclic(fraction_train=0.5),
                 lambda: strategy.Target("accuracy"), lambda: strategy.Plateau("x", better="up")):
        with pytest.raises(InvalidArgument):
            make()


# --- means ----------------------------------------------------------------------------------------

def test_the_mean_is_weighted_whatever_the_order():
    given, weights = models(9), np.arange(1, 10)
    replies = [reply(i, model, int(w)) for i, (model, w) in enumerate(zip(given, weights))]
    mean = after(strategy.FedAvg(), replies)
    for name in ("w", "b"):
        expected = np.average([model[name].astype(np.float64) for model in given], axis=0,
                              weights=weights)
        np.testing.assert_allclose(mean[name], expected, rtol=1e-6, atol=1e-7)
    for shuffle in range(3):
        np.random.default_rng(shuffle).shuffle(replies)
        again = after(strategy.FedAvg(), replies)
        assert all(np.array_equal(again[name], mean[name]) for name in mean)


def test_replies_that_do_not_fit_are_left_out_and_named():
    good = models(3)
    odd = {"w": np.zeros((2, 2), np.float32), "b": np.zeros(3)}
    nan = {"w": np.full((4, 5), np.nan, np.float32), "b": np.zeros(3)}
    for kind in (strategy.FedAvg(), strategy.FedMedian(), strategy.Krum()):
        expected = after(kind, [reply(i, model) for i, model in enumerate(good)])
        kind._refused = []
        mixed = after(kind, [reply(0, good[0]), failed(7), reply(8, odd), reply(1, good[1]),
                             reply(9, nan), reply(2, good[2])])
        assert all(np.array_equal(mixed[name], expected[name]) for name in mixed)
        assert sorted(node for node, _, _ in kind._refused) == [8, 9]
        assert 'array "w"' in dict((node, why) for node, _, why in kind._refused)[8]


def test_nobody_left_leaves_the_model():
    assert strategy.FedAvg().aggregate_train(1, [failed(1)]) == (None, None)
    assert strategy.FedMedian().aggregate_train(1, []) == (None, None)
    assert strategy.FedAvg().aggregate_evaluate(1, [failed(1)]) is None


def test_metrics_are_weighted_means_without_the_weight_unless_a_function_is_given():
    replies = [reply(0, {"w": np.zeros(1)}, 1, loss=1.0, hits=[1, 2]),
               reply(1, {"w": np.zeros(1)}, 3, loss=2.0, hits=[3, 4])]
    _, metrics = strategy.FedAvg().aggregate_train(1, replies)
    assert dict(metrics) == {"hits": [2.5, 3.5], "loss": 1.75}
    seen = []

    def own(contents, key):
        seen.append(([c["metrics"]["loss"] for c in contents], key))
        return MetricRecord({"best": min(c["metrics"]["loss"] for c in contents)})
    kind = strategy.FedAvg(train_metrics_aggr_fn=own, evaluate_metrics_aggr_fn=own)
    odd = reply(5, {"w": np.zeros(2)}, 1, loss=-9.0)
    arrays, metrics = kind.aggregate_train(1, [*replies, odd])
    assert dict(metrics) == {"best": 1.0} and arrays["w"].shape == (1,)
    assert dict(kind.aggregate_evaluate(1, replies)) == {"best": 1.0}
    assert seen == [([1.0, 2.0], "num-examples")] * 2


def test_helpers_of_custom_strategies_say_what_does_not_fit():
    contents = [reply(0, {"w": np.ones(2)}, 2).content, reply(1, {"w": np.zeros(2)}, 2).content]
    mean = strategy_utils.aggregate_arrayrecords(contents, "num-examples")
    assert mean["w"].numpy().tolist() == [0.5, 0.5]
    with pytest.raises(InvalidArgument, match='record 1: .*"v"'):
        strategy_utils.aggregate_arrayrecords(
            [contents[0], reply(1, {"v": np.zeros(2)}).content], "num-examples")
    with pytest.raises(InvalidArgument, match='reply 0: no number under "weight"'):
        strategy_utils.validate_message_reply_consistency(contents, "weight", True)


# --- robust ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_the_median_is_each_elements(count):
    given = models(count)
    got = after(strategy.FedMedian(), [reply(i, model, i + 1) for i, model in enumerate(given)])
    for name in got:
        for index in np.ndindex(got[name].shape):
            ordered = sorted(model[name][index] for model in given)
            middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
            assert got[name][index] == pytest.approx(middle, rel=1e-6)
        assert got[name].dtype == given[0][name].dtype


@pytest.mark.parametrize("count,beta", [(5, 0.2), (7, 0.3), (10, 0.49), (3, 0.0)])
def test_the_trimmed_mean_leaves_out_the_ends(count, beta):
    given = models(count)
    kind = strategy.FedTrimmedAvg(beta=beta)
    got = after(kind, [reply(i, model, i + 1) for i, model in enumerate(given)])
    cut = int(np.floor(beta * count))
    for name in got:
        for index in np.ndindex(got[name].shape):
            ordered = sorted(float(model[name][index]) for model in given)[cut:count - cut]
            assert got[name][index] == pytest.approx(sum(ordered) / len(ordered), rel=1e-5)


def test_integers_and_truth_values_keep_their_kind():
    given = [{"n": np.array([value], np.int32), "t": np.array([value > 2])} for value in (1, 2, 4)]
    for kind, number in ((strategy.FedMedian(), 2), (strategy.FedTrimmedAvg(beta=0.0), 2)):
        got = after(kind, [reply(i, model) for i, model in enumerate(given)])
        assert got["n"].dtype == np.int32 and got["n"].tolist() == [number]
        assert got["t"].dtype == bool and got["t"].tolist() == [False]


def papers_krum(vectors: list, f: int) -> list[float]:
    scores = []
    for i, one in enumerate(vectors):
        distances = sorted(float(((one - other) ** 2).sum())
                           for j, other in enumerate(vectors) if j != i)
        scores.append(sum(distances[:max(1, len(vectors) - f - 2)]))
    return scores


@pytest.mark.parametrize("count,f", [(7, 2), (5, 1), (9, 0), (2, 0)])
def test_krum_picks_the_model_nearest_to_its_neighbours(count, f):
    given = models(count)
    vectors = [np.concatenate([m["w"].ravel(), m["b"].ravel()]).astype(np.float64) for m in given]
    scores = papers_krum(vectors, f)
    np.testing.assert_allclose(strategy.robust.krum_scores([ArrayRecord(m) for m in given], f),
                               scores, rtol=1e-12)
    replies = [reply(i, model, i + 1) for i, model in enumerate(given)]
    best = given[int(np.argmin(scores))]
    got = after(strategy.Krum(num_malicious_nodes=f), replies)
    assert all(np.array_equal(got[name], best[name]) for name in got)
    chosen = np.argsort(scores, kind="stable")[:3]
    got = after(strategy.MultiKrum(num_malicious_nodes=f, num_nodes_to_select=3), replies)
    for name in got:
        np.testing.assert_allclose(got[name], np.average(
            [given[i][name] for i in chosen], axis=0, weights=[i + 1 for i in chosen]), rtol=1e-5,
            atol=1e-6)


@pytest.mark.parametrize("kind", [strategy.FedMedian(), strategy.FedTrimmedAvg(beta=0.3),
                                  strategy.Krum(num_malicious_nodes=2),
                                  strategy.MultiKrum(num_malicious_nodes=2, num_nodes_to_select=3)])
def test_two_of_nine_cannot_lead_robust_strategies_astray(kind):
    honest = models(7, spread=0.1)
    wild = [{name: array + 1e6 for name, array in model.items()} for model in models(2, 5)]
    mixed = [*honest[:3], *wild, *honest[3:]]
    got = after(kind, [reply(i, model) for i, model in enumerate(mixed)])
    assert max(float(np.abs(array).max()) for array in got.values()) < 1
    plain = after(strategy.FedAvg(), [reply(i, m) for i, m in enumerate([*honest, *wild])])
    assert float(np.abs(plain["w"]).max()) > 1e5


def test_q_fedavg_takes_the_papers_step():
    kind = strategy.QFedAvg(client_learning_rate=0.5, q=0.7)
    rng = np.random.default_rng(SEED)
    w, losses = rng.normal(size=8), [0.3, 2.0, 0.9]
    given = [w - rng.normal(size=8) for _ in losses]
    kind.current_arrays = ArrayRecord({"w": w})
    got = after(kind, [reply(i, {"w": one}, 1, train_loss=loss)
                       for i, (one, loss) in enumerate(zip(given, losses))])
    lipschitz = 1 / 0.5
    deltas = [loss ** 0.7 * lipschitz * (w - one) for one, loss in zip(given, losses)]
    hs = [0.7 * loss ** -0.3 * float(((lipschitz * (w - one)) ** 2).sum())
          + lipschitz * loss ** 0.7 for one, loss in zip(given, losses)]
    np.testing.assert_allclose(got["w"], w - sum(deltas) / sum(hs), rtol=1e-12)
    fair = strategy.QFedAvg(client_learning_rate=0.5, q=0.0)
    fair.current_arrays = ArrayRecord({"w": w})
    got = after(fair, [reply(i, {"w": one}, 9 - i, train_loss=1.0) for i, one in enumerate(given)])
    np.testing.assert_allclose(got["w"], np.mean(given, axis=0), rtol=1e-12)
    fair._refused = []
    assert fair.aggregate_train(1, [reply(3, {"w": w})]) == (None, None)
    assert fair._refused == [(3, "bad-reply", 'no loss under "train_loss"')]


def test_absent_strategies_are_named():
    with pytest.raises(ImportError, match="has no Bulyan in this version; there are: FedAdagrad"):
        from umbel.serverapp.strategy import Bulyan  # noqa: F401
    assert not hasattr(strategy, "NoSuchStrategy")


def test_arrays_of_the_mean_are_the_callers_own():
    given = np.ones(3)
    mean = after(strategy.FedAvg(), [reply(0, {"w": given}), reply(1, {"w": given})])
    mean["w"][:] = 5
    assert given.tolist() == [1, 1, 1]
    assert isinstance(_core.fold([reply(0, {"w": given}).content], [0], "num-examples",
                                 ArrayRecord({"w": given}))["arrays"]["w"], Array)

"""Records take what Flower's do, refuse what no record can hold, and say which value that was."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import umbel
from umbel.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MessageType,
    MetricRecord,
    RecordDict,
)


def test_a_list_of_arrays_is_named_by_position_and_comes_back() -> None:
    given = [np.arange(3.0), np.ones((2, 2), "float32")]
    record = ArrayRecord(given)
    assert list(record) == ["0", "1"] and record.count_bytes() == 24 + 16
    for back, array in zip(record.to_numpy_ndarrays(), given, strict=True):
        assert np.array_equal(back, array) and back.dtype == array.dtype
    assert ArrayRecord(numpy_ndarrays=given) == record == ArrayRecord.from_numpy_ndarrays(given)


def test_two_calls_give_arrays_of_their_own() -> None:
    record = ArrayRecord([np.zeros(3)])
    first, second = record.to_numpy_ndarrays()[0], record.to_numpy_ndarrays()[0]
    first += 1
    assert second.sum() == 0 and record["0"].numpy().sum() == 0


def test_inputs_are_emptied_only_when_asked() -> None:
    given = {"w": Array(np.zeros(1))}
    assert ArrayRecord(given) == ArrayRecord(array_dict=given) and list(given) == ["w"]
    record = ArrayRecord(given, keep_input=False)
    assert not given and list(record) == ["w"]
    record.to_numpy_ndarrays(keep_input=False)
    assert not record


def test_a_record_in_a_dict_is_live() -> None:
    content = RecordDict({"arrays": ArrayRecord([np.zeros(2)])})
    content["arrays"]["0"] = np.ones(2)
    assert content["arrays"]["0"].numpy().sum() == 2
    content.array_records["more"] = ArrayRecord([np.zeros(1)])
    assert list(content) == ["arrays", "more"]
    del content.array_records["more"]
    assert list(content) == ["arrays"]
    assert content.metric_records == {} and content.parameters_records == content.array_records


def test_numbers_of_numpy_are_numbers() -> None:
    record = MetricRecord(
        {"a": np.float32(1.5), "b": np.int64(3), "c": [np.float64(1), 2], "d": 2, "e": []}
    )
    assert record == {"a": 1.5, "b": 3, "c": [1.0, 2.0], "d": 2, "e": []}
    assert [type(v) for v in record.values()] == [float, int, list, int, list]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "bool"),
        (np.bool_(True), "bool"),
        ("0.5", "str"),
        (None, "NoneType"),
        (np.zeros(3), r"numpy.ndarray.*\.item\(\)"),
        ({"a": 1}, "dict"),
        ([1, "a"], "item 1 str"),
        ([[1]], "item 0 is of type list"),
        ([True], "bool"),
        (1j, "complex"),
    ],
)
def test_a_metric_that_is_no_number_is_named_with_its_type(value: object, words: str) -> None:
    with pytest.raises(umbel.WrongType, match=f'metric "loss".*{words}'):
        MetricRecord({"loss": value})
    record = MetricRecord()
    with pytest.raises(TypeError, match=words):
        record["loss"] = value
    with pytest.raises(TypeError, match=words):
        record.update(loss=value)
    with pytest.raises(TypeError, match=words):
        record |= {"loss": value}
    assert not record


def test_an_integer_beyond_64_bits_is_refused() -> None:
    assert MetricRecord({"n": -(2**63)})["n"] == -(2**63)
    with pytest.raises(umbel.InvalidArgument, match="64 bits"):
        MetricRecord({"n": 2**63})


def test_settings_are_bools_numbers_texts_bytes_and_lists_of_a_kind() -> None:
    given = {"a": True, "b": 1, "c": 1.5, "d": "é", "e": b"\0", "f": [True], "g": ["x", "y"]}
    assert ConfigRecord(given) == given
    for value, words in [(None, "NoneType"), ([b""], "bytes"), ([1, "a"], "str"), ({}, "dict")]:
        with pytest.raises(umbel.WrongType, match=f'setting "x".*{words}'):
            ConfigRecord({"x": value})
    with pytest.raises(umbel.InvalidArgument, match="Unicode"):
        ConfigRecord({"x": "\ud800"})


def test_an_absent_name_lists_those_there_are() -> None:
    record = MetricRecord({"a": 1, "b": 2})
    with pytest.raises(umbel.NotFound, match='MetricRecord has no "c"; there are: a, b') as raised:
        record["c"]
    assert isinstance(raised.value, KeyError)
    with pytest.raises(KeyError):
        del record["c"]
    assert record.get("c") is None


def test_names_are_texts_and_records_are_records() -> None:
    with pytest.raises(umbel.WrongType, match="a name of type int"):
        MetricRecord({1: 2})
    with pytest.raises(umbel.WrongType, match='record "x" is of type list'):
        RecordDict({"x": [1]})
    with pytest.raises(umbel.WrongType, match="expected a dict of records"):
        RecordDict([1])


def test_copies_are_records() -> None:
    record = RecordDict({"m": MetricRecord({"a": 1}), "w": ArrayRecord([np.ones(2)])})
    for other in (pickle.loads(pickle.dumps(record)), copy.deepcopy(record), record.copy()):
        assert other == record and type(other) is RecordDict
    assert (MetricRecord({"a": 1}) | {"b": 2}) == {"a": 1, "b": 2}


def test_a_reply_goes_back_to_where_its_message_came_from() -> None:
    asked = Message(RecordDict(), dst_node_id=np.int64(7), message_type=MessageType.TRAIN,
                    group_id="3", ttl=60)
    asked.metadata.message_id = "11"
    reply = Message(RecordDict(), reply_to=asked)
    data = reply.metadata
    assert (data.src_node_id, data.reply_to_message_id, data.message_type) == (7, "11", "train")
    assert (data.group_id, data.ttl) == ("3", 60) and reply.has_content() and not reply.has_error()
    failed = asked.create_error_reply(Error(2, "no data"))
    assert failed.has_error() and failed.error == Error(2, "no data")
    with pytest.raises(umbel.FailedPrecondition, match="no data"):
        failed.content
    with pytest.raises(umbel.FailedPrecondition):
        reply.error


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Message([1], dst_node_id=1, message_type="train"),
        lambda: Message(RecordDict(), dst_node_id="one", message_type="train"),
        lambda: Message(RecordDict(), dst_node_id=1, message_type=2),
        lambda: Message(RecordDict(), dst_node_id=1),
        lambda: Message(dst_node_id=1, message_type="train"),
        lambda: Message(RecordDict(), reply_to=3),
    ],
)
def test_what_makes_no_message_is_refused(wrong: object) -> None:
    with pytest.raises(umbel.Error):
        wrong()  # type: ignore[operator]


def test_a_context_made_by_hand_has_what_it_was_given() -> None:
    context = Context(1, 2, {"partition-id": 2, "num-partitions": 5}, RecordDict(), {"lr": 0.1})
    assert (context.partition_id, context.num_partitions) == (2, 5)
    assert context.run_config["lr"] == 0.1 and not context.wrap_up()
    with pytest.raises(umbel.FailedPrecondition, match="made by hand"):
        context.seed

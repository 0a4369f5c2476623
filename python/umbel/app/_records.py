"""Records: arrays, metrics and settings by name, and what a message carries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union, overload

from umbel import _core
from umbel._core import Array
from umbel._errors import NotFound, WrongType

if TYPE_CHECKING:
    import numpy.typing

    NDArray = numpy.typing.NDArray[Any]

MetricScalar = Union[int, float]
MetricRecordValues = Union[int, float, "list[int]", "list[float]"]
ConfigScalar = Union[int, float, str, bytes, bool]
ConfigRecordValues = Union[
    int, float, str, bytes, bool, "list[int]", "list[float]", "list[str]", "list[bool]"
]

V = TypeVar("V")
_NOTHING: Any = object()


class _Record(dict[str, V]):
    """A dict that looks at what is put into it."""

    __slots__ = ()

    _value: ClassVar[Any]  # the value under a name as the record holds it, or an error

    def __setitem__(self, name: str, value: Any) -> None:
        if type(name) is not str:
            name = self._name(name)
        dict.__setitem__(self, name, type(self)._value(name, value))

    def __getitem__(self, name: str) -> V:
        try:
            return dict.__getitem__(self, name)
        except KeyError:
            there = ", ".join(self) or "none"
            raise NotFound(f'{type(self).__name__} has no "{name}"; there are: {there}') from None

    def __delitem__(self, name: str) -> None:
        self[name]
        dict.__delitem__(self, name)

    def _name(self, name: Any) -> str:
        if isinstance(name, str):
            return str(name)
        raise WrongType(
            f"{type(self).__name__}: a name of type {type(name).__name__}, expected a str"
        )

    def update(self, *others: Any, **named: Any) -> None:
        """As dict's, with each value looked at."""
        for name, value in dict(*others, **named).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> V:
        """As dict's, with the value looked at."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __or__(self, other: Any) -> Any:
        both = self.copy()
        both.update(other)
        return both

    def copy(self) -> Any:
        """A record of its own with the same values."""
        made: Any = type(self)()
        dict.update(made, self)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (dict(self),))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)})"


def _drain(given: Any, keep_input: bool, what: str) -> Iterable[tuple[str, Any]]:
    """The items of a dict; without keep_input each is taken out as it is used."""
    if not isinstance(given, Mapping):
        raise WrongType(f"{what}: a value of type {type(given).__name__}, expected a dict")
    items: Any = given
    for name in list(items):
        yield name, items[name] if keep_input else items.pop(name)


class ArrayRecord(_Record[Array]):
    """Named tensors in a fixed order: a model, an update, the state of an optimizer.

    Made of a list of NumPy arrays (named "0", "1", ...), of a dict of arrays or tensors, or of a
    PyTorch state_dict.  Values are `Array`; what else is put in becomes one, without a copy: its
    elements are those of the object, so that it should not be written to as long as the record is
    of use.

    Raises umbel.WrongType, which names the array, for what is no array.
    """

    __slots__ = ()
    _value = staticmethod(_core.array_value)

    def __init__(
        self,
        *args: Any,
        numpy_ndarrays: list[NDArray] | None = None,
        torch_state_dict: dict[str, Any] | None = None,
        array_dict: dict[str, Array] | None = None,
        keep_input: bool = True,
    ) -> None:
        given = [a for a in (numpy_ndarrays, torch_state_dict, array_dict) if a is not None]
        given = list(args) + given
        if not given:
            return
        if len(given) > 1:
            raise WrongType("ArrayRecord: expected one of a list of arrays and a dict of arrays")
        values = given[0]
        if isinstance(values, (list, tuple)):
            for index, array in enumerate(values):
                self[str(index)] = array
            if not keep_input and isinstance(values, list):
                values.clear()
        elif isinstance(values, Mapping):
            for name, array in _drain(values, keep_input, "ArrayRecord"):
                self[name] = array
        else:
            raise WrongType(
                f"ArrayRecord: a value of type {type(values).__name__}, expected a list of arrays "
                "or a dict of arrays by name"
            )

    @classmethod
    def from_array_dict(
        cls, array_dict: dict[str, Array], *, keep_input: bool = True
    ) -> ArrayRecord:
        """A record of these arrays by name."""
        return cls(array_dict=array_dict, keep_input=keep_input)

    @classmethod
    def from_numpy_ndarrays(
        cls, ndarrays: list[NDArray], *, keep_input: bool = True
    ) -> ArrayRecord:
        """A record of these arrays, named "0", "1", ..."""
        return cls(numpy_ndarrays=ndarrays, keep_input=keep_input)

    @classmethod
    def from_torch_state_dict(
        cls, state_dict: dict[str, Any], *, keep_input: bool = True
    ) -> ArrayRecord:
        """A record of a PyTorch module's state_dict()."""
        return cls(torch_state_dict=state_dict, keep_input=keep_input)

    def to_numpy_ndarrays(self, *, keep_input: bool = True) -> list[NDArray]:
        """The arrays in order, as ndarrays of one's own that may be written to.

        With ``keep_input=False`` the record is empty afterwards.
        """
        arrays = [array.numpy() for array in self.values()]
        if not keep_input:
            self.clear()
        return arrays

    def to_torch_state_dict(self, *, keep_input: bool = True) -> OrderedDict[str, Any]:
        """The arrays by name, as PyTorch tensors of one's own: for load_state_dict().

        With ``keep_input=False`` the record is empty afterwards.
        """
        from torch.utils.dlpack import from_dlpack

        tensors = OrderedDict(
            (name, from_dlpack(array.__dlpack__(copy=True))) for name, array in self.items()
        )
        if not keep_input:
            self.clear()
        return tensors

    def count_bytes(self) -> int:
        """Bytes of all elements."""
        return sum(array.nbytes for array in self.values())


class MetricRecord(_Record[MetricRecordValues]):
    """What was measured: integers, real numbers, and lists of them, by name.

    Numbers of NumPy become Python's.  Raises umbel.WrongType, which names metric and type, for
    anything else, bool included.
    """

    __slots__ = ()
    _value = staticmethod(_core.metric_value)

    def __init__(
        self, metric_dict: Mapping[str, MetricRecordValues] | None = None, keep_input: bool = True
    ) -> None:
        given = {} if metric_dict is None else metric_dict
        for name, value in _drain(given, keep_input, "MetricRecord"):
            self[name] = value

    def count_bytes(self) -> int:
        """Approximate bytes on a wire: 8 for each number, and the names."""
        numbers = sum(len(v) if isinstance(v, list) else 1 for v in self.values())
        return 8 * numbers + sum(len(name.encode()) for name in self)


class ConfigRecord(_Record[ConfigRecordValues]):
    """Settings: bools, numbers, texts, bytes, and lists of one of the first three, by name.

    Raises umbel.WrongType, which names setting and type, for anything else.
    """

    __slots__ = ()
    _value = staticmethod(_core.setting_value)

    def __init__(
        self, config_dict: Mapping[str, ConfigRecordValues] | None = None, keep_input: bool = True
    ) -> None:
        given = {} if config_dict is None else config_dict
        for name, value in _drain(given, keep_input, "ConfigRecord"):
            self[name] = value

    def count_bytes(self) -> int:
        """Approximate bytes on a wire: 8 for each number, texts and names by their length."""
        return sum(len(name.encode()) + _config_bytes(value) for name, value in self.items())


def _config_bytes(value: Any) -> int:
    if isinstance(value, list):
        return sum(_config_bytes(item) for item in value)
    if isinstance(value, bool):
        return 1
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes) else 8


RecordType = Union[ArrayRecord, MetricRecord, ConfigRecord]


def _record_value(name: str, value: Any) -> RecordType:
    if isinstance(value, (ArrayRecord, MetricRecord, ConfigRecord)):
        return value
    raise WrongType(
        f'RecordDict: record "{name}" is of type {type(value).__name__}, expected an ArrayRecord, '
        "a MetricRecord or a ConfigRecord"
    )


class RecordDict(_Record[RecordType]):
    """Records by name: what a message carries, and what a client keeps.

    ``array_records``, ``metric_records`` and ``config_records`` are the records of one kind, as
    views: a record put into one of them is in the RecordDict.
    """

    __slots__ = ()
    _value = staticmethod(_record_value)

    def __init__(
        self,
        records: Mapping[str, RecordType] | None = None,
        *,
        parameters_records: dict[str, ArrayRecord] | None = None,
        metrics_records: dict[str, MetricRecord] | None = None,
        configs_records: dict[str, ConfigRecord] | None = None,
    ) -> None:
        if records is not None and not isinstance(records, Mapping):
            raise WrongType(
                f"RecordDict: a value of type {type(records).__name__}, expected a dict of records"
            )
        for given in (records, parameters_records, metrics_records, configs_records):
            for name, record in (given or {}).items():
                self[name] = record

    @property
    def array_records(self) -> dict[str, ArrayRecord]:
        """The ArrayRecords by name."""
        return _Kind(self, ArrayRecord)

    @property
    def metric_records(self) -> dict[str, MetricRecord]:
        """The MetricRecords by name."""
        return _Kind(self, MetricRecord)

    @property
    def config_records(self) -> dict[str, ConfigRecord]:
        """The ConfigRecords by name."""
        return _Kind(self, ConfigRecord)

    @property
    def parameters_records(self) -> dict[str, ArrayRecord]:
        """The older name of array_records."""
        return self.array_records

    @property
    def metrics_records(self) -> dict[str, MetricRecord]:
        """The older name of metric_records."""
        return self.metric_records

    @property
    def configs_records(self) -> dict[str, ConfigRecord]:
        """The older name of config_records."""
        return self.config_records


class _Kind(dict[str, Any]):
    """The records of one kind in a RecordDict; what is changed here is changed there."""

    __slots__ = ("_all", "_kind")

    def __init__(self, records: RecordDict, kind: type[Any]) -> None:
        self._all = records
        self._kind = kind
        dict.__init__(self, {n: r for n, r in records.items() if isinstance(r, kind)})

    def __setitem__(self, name: str, record: Any) -> None:
        if not isinstance(record, self._kind):
            raise WrongType(
                f'RecordDict: record "{name}" is of type {type(record).__name__}, expected '
                f"{self._kind.__name__}"
            )
        self._all[name] = record
        dict.__setitem__(self, name, record)

    def __delitem__(self, name: str) -> None:
        dict.__delitem__(self, name)
        del self._all[name]

    def update(self, *others: Any, **named: Any) -> None:
        for name, record in dict(*others, **named).items():
            self[name] = record

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    @overload
    def pop(self, name: str) -> Any: ...
    @overload
    def pop(self, name: str, default: Any) -> Any: ...
    def pop(self, name: str, default: Any = _NOTHING) -> Any:
        if name not in self and default is not _NOTHING:
            return default
        record = self[name]
        del self[name]
        return record

    def clear(self) -> None:
        for name in list(self):
            del self[name]

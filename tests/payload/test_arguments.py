"""Arguments on their way: small ones as a bare pickle, large ones without a second copy, classes by name or value."""

from __future__ import annotations

import fractions
import pickle
import tracemalloc

import numpy as np
import pytest

from lightwork.config.limits import INLINE_MAX
from lightwork.model.errors import CannotTravel
from lightwork.payload.arguments import Needs, pack_arguments, pack_job
from lightwork.payload.computation import PackedComputation, pack_computation
from lightwork.payload.gather import LargePayload
from lightwork.payload.reading import unpack_value
from tests.payload.kinds import Point, defined, plain, same
from tests.payload.local_code import shapes


def there(payload: bytes | LargePayload) -> tuple[tuple, dict]:
    """What the worker unpickles."""
    return unpack_value(payload if isinstance(payload, bytes) else payload.to_bytes())


@pytest.mark.parametrize(
    "value",
    [0, 0x93, "\x93", b"\x93" * 100, 2.5, None, [1, {2: (3,)}], fractions.Fraction(1, 3), {1, 2}, "x" * 10_000],
    ids=lambda value: type(value).__name__,
)
def test_small_arguments_are_a_bare_pickle(value):
    payload = pack_arguments((value,), {"key": value})
    assert isinstance(payload, bytes)
    assert payload[:2] == b"\x80\x05"
    assert pickle.loads(payload) == ((value,), {"key": value})


@pytest.mark.parametrize("count", [10, 9_000, 30_000, 100_000])
def test_arrays_of_every_size(count: int):
    array = np.arange(count, dtype="f8").reshape(2, -1)
    payload = pack_arguments((array, array.T, array[:, ::2]), {})
    assert isinstance(payload, bytes) == (payload_size(payload) < INLINE_MAX)
    args, _ = there(payload)
    for got, sent in zip(args, (array, array.T, array[:, ::2]), strict=True):
        assert np.array_equal(got, sent)
    args[0][0, 0] = 7  # users may write into what they got


def payload_size(payload: bytes | LargePayload) -> int:
    return len(payload) if isinstance(payload, bytes) else payload.size


def test_large_payload_is_written_once_and_not_copied_before():
    data, array = b"x" * 8_000_000, np.zeros(1_000_000)
    region = bytearray(30_000_000)
    tracemalloc.start()
    try:
        payload = pack_arguments((data, array, [bytearray(data)]), {})
        assert isinstance(payload, LargePayload)
        payload.write_into(memoryview(region))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000 + 1_000_000  # the bytearray that the test made, and crumbs
    args, _ = unpack_value(bytes(region[: payload.size]))
    assert args[0] == data
    assert np.array_equal(args[1], array)
    assert args[2] == [bytearray(data)]


def test_payload_fits_exactly():
    payload = pack_arguments((np.ones(100_001, dtype="u1"), b"y" * 300_001), {})
    assert isinstance(payload, LargePayload)
    args, _ = there(payload)
    assert args[0].sum() == 100_001
    assert args[1] == b"y" * 300_001


def test_a_local_class_that_the_computation_lacks_is_shipped_from_then_on():
    packed = pack_computation(defined("def work(thing):\n    return thing", "work"))
    assert packed.wire.files == ()
    with pytest.raises(Needs):
        pack_arguments((shapes.Square(1),), {}, packed)
    wider, payload = pack_job(packed, (shapes.Square(1),), {})
    assert wider.wire.digest != packed.wire.digest
    assert wider.wire.environment == packed.wire.environment
    assert ".lightwork/modules/tests/payload/local_code/shapes.py" in {file.path for file in wider.wire.files}
    assert isinstance(payload, bytes)
    assert b"shapes" in payload
    again, _ = pack_job(wider, (shapes.Square(2),), {})
    assert again is wider


def test_what_is_shipped_already_changes_nothing():
    packed = pack_computation(same)
    assert pack_job(packed, (Point(1),), {})[0] is packed
    assert pack_job(packed, (plain,), {})[0] is packed


def test_chunk_is_a_list_of_argument_tuples():
    _, payload = pack_job(pack_computation(plain), ([(1,), (2, 3)],), {})
    assert there(payload) == (([(1,), (2, 3)],), {})


def iter_nothing():
    yield from ()


def test_what_cannot_travel_in_a_chunk_is_named():
    with pytest.raises(CannotTravel, match=r"argument 1, at \[1\]\[0\], is a generator"):
        pack_job(pack_computation(plain), ([(1,), (iter_nothing(),)],), {})


def test_a_users_error_in_getstate_is_shown():
    class Broken:
        def __getstate__(self):
            raise ZeroDivisionError("in my getstate")

    with pytest.raises(CannotTravel, match="in my getstate") as caught:
        pack_arguments((Broken(),), {})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_endless_nesting_is_an_error():
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(CannotTravel, match="recursion"):
        pack_arguments((nested,), {})


def test_cycles_travel():
    cycle: list = [1]
    cycle.append(cycle)
    (got,), _ = there(pack_arguments((cycle,), {}))
    assert got[1] is got


def test_one_int_costs_little():
    """The hot path is one call of the pickler: within a few times of a bare pickle.dumps."""
    import timeit

    packed: PackedComputation = pack_computation(plain)
    ours = min(timeit.repeat(lambda: pack_job(packed, (5,), {}), number=2000, repeat=20))
    bare = min(timeit.repeat(lambda: pickle.dumps(((5,), {}), 5), number=2000, repeat=20))
    assert ours < 4 * bare

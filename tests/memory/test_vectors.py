import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reverie.memory.vector_column import VectorColumn
from reverie.memory.vectors import GrowingArray, cosines, dequantise, error_bound, is_unit, quantise
from tests.memory.worlds import unit


@given(st.integers(0, 2**32 - 1), st.integers(1, 600), st.floats(0.1, 8))
def test_cosine_of_a_code_is_within_the_stated_bound(seed, width, skew):
    rng = np.random.default_rng(seed)
    vector = unit(np.sign(rng.standard_normal(width)) * np.abs(rng.standard_normal(width)) ** skew + 1e-6)
    query = unit(rng.standard_normal(width))
    code, scale = quantise(vector)
    assert np.abs(vector - dequantise(code, scale)).max() <= scale / 2 * 1.001
    exact = float(query.astype(np.float64) @ vector.astype(np.float64))
    found = float(cosines(code[None], np.array([scale], np.float32), query)[0])
    bound = error_bound(scale, query)
    assert abs(found - exact) <= bound + 1e-5
    assert bound <= scale / 2 * np.sqrt(width) * 1.001


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 64))
def test_blocked_scan_equals_one_product(seed, num_rows, width):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (num_rows, width)).astype(np.int8)
    scales = rng.uniform(0, 0.01, num_rows).astype(np.float32)
    query = unit(rng.standard_normal(width))
    naive = (codes.astype(np.float64) * scales[:, None].astype(np.float64)) @ query.astype(np.float64)
    np.testing.assert_allclose(cosines(codes, scales, query), naive, atol=1e-4)


def test_scan_over_several_blocks_equals_one_product():
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (20_000, 8)).astype(np.int8)
    query = unit(rng.standard_normal(8))
    found = cosines(codes, np.ones(20_000, np.float32), query)
    exact = codes.astype(np.float64) @ query.astype(np.float64)
    summed = np.abs(codes.astype(np.float64)) @ np.abs(query.astype(np.float64))
    assert np.all(np.abs(found - exact) <= 8 * np.finfo(np.float32).eps * summed)  # whichever order a kernel sums in


def test_only_finite_unit_vectors_are_units():
    one = unit(np.ones(5))
    assert is_unit(one)
    assert not is_unit(one * 2)
    assert not is_unit(np.full(5, np.nan, np.float32))
    assert not is_unit(np.array([np.inf, 0], np.float32))
    assert not is_unit(np.zeros(5, np.float32))
    assert not is_unit(np.zeros(0, np.float32))
    assert not is_unit(np.eye(2, dtype=np.float32))


@given(st.lists(st.lists(st.integers(-100, 100), max_size=90), max_size=12))
def test_growing_array_holds_what_was_appended(parts):
    array = GrowingArray(np.int64)
    for part in parts:
        array.extend(part)
    assert array.rows.tolist() == [value for part in parts for value in part]


@given(st.lists(st.integers(0, 12), max_size=14).map(sorted), st.lists(st.integers(0, 14), max_size=6), st.booleans())
def test_rows_are_found_in_a_column_with_and_without_gaps(own, asked, whole):
    own = list(range(len(own))) if whole else own
    column = VectorColumn(2)
    column.rows.extend(own)
    column.codes.extend(np.ones((len(own), 2), np.int8))
    column.scales.extend(np.ones(len(own), np.float32))
    places, _ = column.cosines(np.ones(2, np.float32), np.array(asked, np.int64))
    assert places.tolist() == [place for place, row in enumerate(asked) for _ in range(own.count(row))]

"""Measures against arrays worked out by hand."""

import numpy as np
import pytest

from model.analysis import measures


def test_cosine_similarity_by_hand():
    vectors = np.array([[2.0, 0.0], [0.0, 5.0], [3.0, 3.0], [-1.0, 0.0]])
    half = 2**-0.5
    expected = [[1, 0, half, -1], [0, 1, half, 0], [half, half, 1, -half], [-1, 0, -half, 1]]
    np.testing.assert_allclose(measures.cosine_similarity(vectors), expected, atol=1e-12)
    np.testing.assert_allclose(measures.cosine_similarity(vectors[:1], vectors[2:]), [[half, -1]], atol=1e-12)


def test_a_zero_vector_has_no_direction():
    similarity = measures.cosine_similarity(np.array([[0.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_array_equal(similarity, [[0, 0], [0, 1]])


def test_nearest_neighbours_leave_out_the_vector_itself_but_not_its_twin():
    vectors = np.array([[1.0, 0.0], [4.0, 3.0], [0.0, 1.0], [2.0, 0.0]])
    near, cosine = measures.nearest_neighbours(vectors, [0, 2], 2)
    np.testing.assert_array_equal(near, [[3, 1], [1, 0]])
    np.testing.assert_allclose(cosine, [[1, 0.8], [0.6, 0]], atol=1e-12)


def test_nearest_neighbours_of_many_agree_with_the_whole_table():
    vectors = np.random.default_rng(0).normal(size=(200, 8))
    near, cosine = measures.nearest_neighbours(vectors, range(200), 3)
    table = measures.cosine_similarity(vectors)
    np.fill_diagonal(table, -2)
    np.testing.assert_array_equal(near, np.argsort(-table, axis=1)[:, :3])
    np.testing.assert_allclose(cosine, -np.sort(-table, axis=1)[:, :3])


def test_there_are_no_more_neighbours_than_vectors():
    assert measures.nearest_neighbours(np.eye(3), [1], 9)[0].shape == (1, 2)


def test_principal_components_by_hand():
    # a cross: four units of spread along (3, 4) / 5, one across it
    along, across = np.array([0.6, 0.8]), np.array([-0.8, 0.6])
    vectors = np.array([10, 20]) + np.array([4 * along, -4 * along, across, -across])
    seen = measures.principal_components(vectors, 2)
    np.testing.assert_allclose(seen.coordinates, [[4, 0], [-4, 0], [0, -1], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(seen.explained, [32 / 34, 2 / 34])


def test_principal_components_keep_distances_when_all_are_kept():
    vectors = np.random.default_rng(0).normal(size=(5, 7))
    seen = measures.principal_components(vectors, 4).coordinates  # five points span at most four directions
    between = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(seen[:, None] - seen, axis=-1), between)


def test_missing_components_are_zero():
    seen = measures.principal_components(np.array([[1.0, 1.0], [1.0, 1.0]]), 3)
    np.testing.assert_array_equal(seen.coordinates, np.zeros((2, 3)))
    np.testing.assert_array_equal(seen.explained, np.zeros(3))


def test_cosine_to_previous_by_hand():
    path = np.array([[1.0, 0.0], [7.0, 0.0], [3.0, 4.0], [-3.0, -4.0]])
    np.testing.assert_allclose(measures.cosine_to_previous(path), [1, 0.6, -1])


def test_mean_similarity_apart_by_hand():
    similarity = np.array([[1, 0.5, 0.1], [0.5, 1, 0.7], [0.1, 0.7, 1]])
    assert measures.mean_similarity_apart(similarity, 0) == 1
    assert measures.mean_similarity_apart(similarity, 1) == pytest.approx(0.6)
    assert measures.mean_similarity_apart(similarity, 2) == pytest.approx(0.1)
    with pytest.raises(IndexError, match="no two of 3 are 3 apart"):
        measures.mean_similarity_apart(similarity, 3)

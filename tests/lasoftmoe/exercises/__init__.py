import pytest

# Not named like a test, but holds tests: without this a failing assert there would not say why.
pytest.register_assert_rewrite("tests.lasoftmoe.exercises.cells")

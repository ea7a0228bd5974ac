from data_prep.synthetic.recipe import _meaning, code_digest


def meaning(tmp_path, text):
    path = tmp_path / "module.py"
    path.write_text(text, "utf-8")
    return _meaning(path)


def test_comments_docstrings_and_layout_do_not_count(tmp_path):
    one = meaning(tmp_path, 'def f(a):\n    """Says."""\n    return a + 1\n')
    two = meaning(tmp_path, "# why\ndef f( a ):\n\n    return (a+1)  # because\n")
    assert one == two


def test_numbers_and_names_do(tmp_path):
    one = meaning(tmp_path, "def f(a):\n    return a + 1\n")
    assert one != meaning(tmp_path, "def f(a):\n    return a + 2\n")
    assert one != meaning(tmp_path, "def f(b):\n    return b + 1\n")


def test_unused_modules_and_weights_can_be_left_out():
    every = code_digest(weights=True)
    assert every == code_digest(weights=True)
    assert len({every, code_digest(weights=False), code_digest("digital", weights=True)}) == 3


def test_of_a_module_one_function_may_count(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def f(a):\n    return a\n\n\ndef g(a):\n    return -a\n", "utf-8")
    assert _meaning(path, "f") == "def f(a):\n    return a"
    assert _meaning(path, "f") != _meaning(path)

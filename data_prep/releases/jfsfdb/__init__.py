"""The nine sets of the joint face spoofing and forgery benchmark (JFSFDB).

Z. Yu, R. Cai, Z. Li, W. Yang, J. Shi and A. C. Kot, Benchmarking Joint Face Spoofing and Forgery
Detection with Visual and Physiological Cues, IEEE TDSC 2024. One module a set: where its videos
lie, what their names say, and its official split. What they share is in ``clips`` (reading),
``find`` (walking a release), ``split``, ``prepare`` (crops and tables) and ``combine`` (the
benchmark's protocols).

Each set is licensed by its owners and none of them was at hand here: names and layouts are tested
on miniature releases in the documented layout. Rules known only from memory stand in a module's
``unverified`` and can be replaced by a YAML file (``--rules``).
"""

"""People drawn from MakeHuman's head: meshes, skin, eyes, hair, clothes, light, and their maps.

``renderer.render(people, sessions)`` draws rows of ``people.sample_people`` in rows of
``session.sample_sessions`` and returns linear light for ``camera.capture``, with depth, parts,
texture coordinates, and landmarks of the same geometry. ``edits`` and ``worn`` change that
geometry and return exact masks. ``python -m data_prep.synthetic.heads.sheet`` shows them.

One idea per file, from the ground up:

- ``steady``, ``rows``, ``chance``: arithmetic and random numbers that have the same bits on every
  processor
- ``mesh``, ``subdivision``, ``raster``: the head, its smooth surface, and which pixel sees what
- ``people``, ``session``, ``tables``: who somebody is, and when and how somebody was seen
- ``shape``, ``expression``, ``atlas``, ``skin``, ``eyes``: the head and its face
- ``ground``, ``strand``, ``hair_styles``, ``scalp_hair``, ``facial_hair``, ``hair``: what grows
- ``pieces``, ``headwear``, ``clothes``, ``glasses``: what is worn
- ``figure``: a person ready to be drawn
- ``view``, ``scene``, ``surface``, ``light``, ``strands``, ``backdrop``: a scene and a camera
- ``draw``, ``renderer``, ``sheet``: images and their maps
- ``edits``, ``worn``: attacks on true geometry
- ``extract``, ``occlusion``: how ``data/head.safetensors`` was made (see ``data/NOTICE.md``)
"""

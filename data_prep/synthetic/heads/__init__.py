"""People drawn from MakeHuman's head: meshes, skin, eyes, hair, clothes, light, and their maps.

``render(people, sessions)`` in ``renderer`` draws rows of ``sample_people`` in rows of
``sample_sessions`` and returns linear light for ``camera.capture``, with depth, parts, texture
coordinates, and landmarks from the same geometry. ``edits`` and ``worn`` change that geometry.

One idea per file, from the ground up:

- ``steady``, ``chance``: arithmetic and random numbers with the same bits on every processor
- ``mesh``, ``subdivision``, ``raster``: the head, its smooth surface, and which pixel sees what
- ``people``, ``session``: who somebody is, and when and how somebody was seen
- ``shape``, ``expression``, ``skin``, ``eyes``, ``hair``, ``clothes``, ``glasses``: what they show
- ``light``, ``backdrop``, ``renderer``: how a scene becomes light in pixels
- ``extract``, ``occlusion``: how ``data/head.safetensors`` was made (see ``data/NOTICE.md``)
"""

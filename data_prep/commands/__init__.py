"""Command groups, one module each, with a function ``add_commands(commands)``.

A command imports its modules when it runs, because importing torch would slow down ``--help``.
"""

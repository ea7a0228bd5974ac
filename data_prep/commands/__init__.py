"""One module a group of commands; each has ``add_commands(commands)``.

A command imports what it needs when it runs: torch alone takes seconds, ``--help`` should not.
"""

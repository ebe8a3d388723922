"""The tests' Python. Everything is imported by its full name, `tests.lib.waiting`: pytest puts the top
of the checkout into the path of what it runs, tests/python does for the programs beside it."""

"""The exercises of the book, one module per chapter, each task described once.

An :class:`~lasoftmoe.exercises.exercise.Exercise` holds what a task asks, its right answer, and
the mistakes people make. The checks of the book, the hidden tests of an assignment, and its rubric
all come from that one description.
"""

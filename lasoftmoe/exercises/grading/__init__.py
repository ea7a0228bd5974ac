"""Grading of assignments: a trusted parent that judges, and limited children that run answers.

The parent holds hidden inputs and right answers and never runs a student's code. A worker imports
torch once and forks one child per question; the child gets the inputs, runs the student's function
and returns values. It runs without network, sees only the Python packages and an empty folder, and
cannot read the descriptions of the exercises, as far as the system allows it.

    python -m lasoftmoe.exercises.grading --chapter 06 --submissions DIR --out OUT
"""

"""Write difficulty marks and hints into the task cells: ``python -m tools.exercise_text``.

The fold of a solution gets its name, too. Marks and hints come from the description of
each exercise, so that they are written once.
"""

from __future__ import annotations

import re

from lasoftmoe.exercises.exercise import Exercise
from tools import notebooks

HEAD = re.compile(r"^\*\*(\d+\. .+?)\*\*( ★+)?")
HINT = '<details class="hint"><summary>Hint {number} of {count}</summary>\n\n{text}\n\n</details>'
FOLD = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
HINTS = re.compile(r"\n\n<details class=\"hint\">.*</details>", re.DOTALL)


def with_marks(text: str, exercise: Exercise) -> str:
    """Return a task's text with the stars and the hints of its description."""
    stars = "★" * exercise.difficulty
    text = HEAD.sub(lambda match: f"**{match[1]}** {stars}", HINTS.sub("", text), count=1)
    count = len(exercise.hints)
    hints = [
        HINT.format(number=number, count=count, text=hint)
        for number, hint in enumerate(exercise.hints, 1)
    ]
    return "\n\n".join([text.rstrip(), *hints])


def main() -> None:
    """Bring all task cells up to date."""
    for number in notebooks.chapter_numbers():
        path = notebooks.notebook_path(number)
        notebook = notebooks.read(path)
        for task in notebooks.tasks(notebook, notebooks.chapter(number)):
            text = notebooks.source(task.text)
            notebooks.set_source(task.text, with_marks(text, task.exercise))
            task.code["metadata"] = {"mystnb": FOLD, **task.code["metadata"]}
        notebooks.write(notebook, path)


if __name__ == "__main__":
    main()

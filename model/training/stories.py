"""Short stories of our own, which begin as lessons do, and come to an end: one a line of stories.txt.

After a plain sentence, the texts of `model.training.data` mostly end: single sentences for learners of a language. So a
model that always takes the most probable token goes on with the sentence it has just read, and never leaves it. These
stories show how such a sentence goes on. None of them begins with a sentence of `model.training.lessons.LESSONS`.
"""

from pathlib import Path

STORIES = Path(__file__).with_name("stories.txt").read_text(encoding="utf-8").splitlines()

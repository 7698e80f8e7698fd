"""Stories that no model here was trained on: written for Regard, to see what a model forgets."""

STORIES = (
    "Mia had a small red boat. Every morning she carried it to the pond behind the house. One day the wind was strong, "
    "and the boat went far away. Mia waited at the edge of the water until a duck pushed the boat back with its beak. "
    "She gave the duck a piece of bread, and after that it came every day.",
    "An old man lived alone on a hill. He had a clock that was always late. When the clock struck twelve, the sun had "
    "long begun to go down. “It does not matter,” said the old man, “I am never in a hurry.” And he sat down before "
    "his door and looked at the valley.",
    "Tom and his sister wanted to bake a cake for their mother. They found flour, sugar and four eggs. Tom dropped one "
    "egg on the floor, and the dog ate it at once. So the cake was made with three eggs, and their mother said that it "
    "was the best one she had ever eaten.",
    "The fox came to the river and could not find the bridge. “How do you get to the other side?” he asked the crow. "
    "“I fly,” said the crow. The fox thought about it for a while. Then he lay down in the grass and waited for the "
    "winter, when the river would be ice.",
    "In the night there was a great noise in the kitchen. The king took a candle and went down the stairs with his "
    "sword. But there was only a mouse, which had fallen into the soup. The king lifted it out with a spoon, dried it "
    "with his sleeve, and never told anyone about it.",
)

"""Short stories of our own, which begin as lessons do, and come to an end.

After a plain sentence, the texts of `model.training.data` mostly end: single sentences for learners of a language. So a
model that always takes the most probable token goes on with the sentence it has just read, and never leaves it. These
stories show how such a sentence goes on. None of them begins with a sentence of `model.training.lessons.LESSONS`.
"""

_TEXT = """
The dog barked at the gate. An old man was standing there with a parcel under his arm. "Be quiet," said the man, "I
have something for you." He opened the parcel, and there was a bone in it. After that the dog never barked at him again.

The dog barked at the bird in the tree. The bird looked down and sang. The dog did not know what to do, so he lay down
in the grass and listened until he was asleep.

The dog barked at the sheep, and the sheep ran up the hill. The shepherd whistled once. Soon all of them were standing
in the yard, and the dog got a bowl of water and a kind word.

The dog barked at his own shadow. When he jumped, it jumped too. At last a cloud came before the sun, and the shadow
was gone. The dog thought that he had won.

The dog barked at the kitten, but the kitten only washed her paws. Then she walked up to him and touched his nose. He
was so surprised that he sat down. From that day on they slept in one basket.

The dog barked at the train. It did not stop. "It never stops for me," thought the dog, "but I will try again tomorrow."

The cat sat on the wall. Below her a mouse came out of its hole and looked for crumbs. The cat jumped, but the mouse was
quicker. She went home hungry, and her bowl of milk tasted better than ever.

The cat sat on the roof all night. In the morning Anna called her, but she was afraid to climb down. Anna's father
fetched the long ladder. When he was at the top, the cat jumped past him and was in the kitchen before he was.

The cat sat on the chair by the fire. Grandfather wanted to sit there too. He took the chair, and the cat took
Grandfather. So both of them were warm.

The cat sat on the table, where she was not allowed to sit. Then she heard steps in the hall. When Mother came in, the
cat was lying on her mat, and only the empty plate knew what had happened.

The cat lay on the mat in front of the door and waited for the boy. At four o'clock he came home from school. He put
down his bag, and the two of them ran into the garden.

The cats sat on the fence in the moonlight and sang. A window opened, and somebody threw an old shoe. One of the cats
carried it away. It made a fine bed for her kittens.

The kitten had lost its mother. It looked under the bed, behind the door and in the cupboard. At last it looked into the
laundry basket, and there she was, fast asleep on the clean shirts.

The cat was hungry. She went to the kitchen, but the door was closed. So she sat in front of it and cried until the cook
came. He gave her the head of a fish, and she was content.

The dog was tired after the long walk. He lay down on the rug and dreamed that he was chasing rabbits. His feet moved,
and the children laughed. Then he woke up and wagged his tail.

The dog chased the rabbit across the field. The rabbit ran into its hole. The dog waited until it was dark, and then he
went home. The next day both of them were there again.

A cat and a dog lived in the same house. At first they did not like each other. One night there was a storm, and the dog
was afraid. The cat lay down beside him. Since then they have been friends.

A little dog found a ball in the park. He carried it to a girl who was sitting on a bench. She threw it, and he brought
it back. They played until the sun went down, and then the girl's father said, "It seems that we have a dog now."

The mouse lived behind the kitchen wall. Every evening it came out and ate what the baby had dropped. The baby was the
only one who saw it, and the baby could not tell anybody.

The bird built a nest in the old boot by the door. Nobody wore the boot that spring. When the young birds had flown
away, Father put it on again, and there was a feather in it.

The brown fox looked at the hen house. The hens looked at the fox. Then the farmer came out with his lamp, and the fox
remembered that he had something to do in the wood.

The horse jumped over the stream, but the boy did not stay on its back. He climbed out of the water, and the horse was
waiting for him. "Next time," said the boy, "tell me first."

The animal was small and wet. Lucy wrapped it in her scarf and took it home. It was a hedgehog. It drank some water,
slept in a box for three days, and then it walked back into the garden.

The animal in the picture had a long neck. "That is a giraffe," said the teacher. "It can eat the leaves at the top of
the tree." Ben asked whether it could see his house. The teacher said that it was a very good question.

An old man lived alone on a hill. Every evening he lit a lamp in his window. One night a traveller who had lost his way
saw the light. They ate soup together, and the old man was not alone that winter.

A girl named Rose wanted to see the sea. She walked along the river, for her uncle had told her that all rivers go
there. On the third day she smelled salt. Then she stood on the sand, and it was larger than she had thought.

There was once a boy who was never on time. One day the whole class waited for him at the station. The train left
without them. They had a picnic on the platform, and the boy brought the cake the next day. He was never late again.

Once there was a king who could not sleep. The doctors gave him tea, and the musicians played for him. Nothing helped.
Then a shepherd came and counted his sheep aloud. At sixteen the king was snoring.

Long ago there was a village without a well. The women carried water from the river. A little girl saw that the grass
was green in one place, even in summer. They dug there, and since then nobody has had to go to the river.

A baker made a loaf that was as large as a cart. Nobody could carry it. So all the people of the street came with knives
and butter and ate it where it was.

Tom had a boat of paper. He put it on the river, and it sailed away under the bridge. He ran after it, but it was gone.
A week later a letter came. A girl in the next town had found the boat with his name on it.

Mary and John went to the market. Mary had the money, and John had the basket. They bought apples, bread and cheese. On
the way home it began to rain, so they sat under a tree and had their lunch there.

Mary gave John a seed. He put it into a pot and watered it every day. For a long time nothing happened. In May there was
a green leaf, and in July there was a flower as yellow as the sun. He gave it to Mary.

When Anna and Peter went to the lake, Peter had forgotten the bread for the ducks. The ducks came all the same. Anna
sang a song for them, and they seemed to like it.

Alice gave Bob a key, but she did not say what it was for. He tried it in every door. In the evening he found a little
box under his bed. The key fitted, and in the box was a ticket for the circus.

Lily could not find her red hat. She looked in the garden and under the stairs. Then she went to the barn, and there sat
the goat with something red in its mouth. "That was my hat," said Lily.

Ben was afraid of the dark. His sister gave him a jar with a firefly in it. "It is not afraid," she said. In the morning
they opened the jar together, and the firefly flew away.

Sam and his father built a kite. It was blue, with a long tail. The first wind tore it. They mended it with tape, and
after that it flew better than before.

My grandmother has a clock that is always wrong. When it says three, it is noon. She does not want a new one. "I know
what it means," she says, "and it knows me."

My brother wanted to be a pirate. He made a hat of paper and a sword of wood. Then he sailed across the kitchen on a
chair. When dinner was ready he came home, for pirates are hungry too.

My name is Lucy, and I am seven years old. Yesterday I lost a tooth. I put it under my pillow. This morning there was a
coin, and I shall buy an apple with it.

I went to the wood to look for mushrooms. I found two red ones and left them where they were. Then I met my neighbour,
whose basket was full. She showed me which ones can be eaten, and we cooked them together.

I had a dream last night. I could fly, but only as high as the table. My mother said that this was high enough for the
first time.

She opened the old suitcase. There were letters in it, and a dress, and a doll without hair. "Whose are these?" she
asked. Her grandmother smiled and began to tell.

He sat on the bank of the river and held his rod. Nothing moved. After two hours a fish jumped out of the water, looked
at him, and fell back. He laughed and went home.

They wanted to cross the street, but there were too many cars. A policeman held up his hand. All the cars stopped, and a
duck walked across with seven little ducks behind her. Then the children crossed too.

It rained for a week. The children played every game that they knew. On the seventh day they made up a new one, with a
spoon, two hats and a chair. When the sun came out, nobody saw it.

It was snowing when they came out of school. They made a snowman in front of the door. In the morning he had a hat that
nobody knew, and nobody ever found out who had given it to him.

In the middle of the wood stood a small house. Its door was open. Inside there was a table with a cup on it, and the tea
was still warm. "Is anybody there?" called the girl. "Only me," said a very small voice from under the cup.

In spring the farmer put a scarecrow into his field. The crows sat on its arms and talked to it. "It is good company,"
they said. The farmer shook his head and planted some more corn for the crows.

The teacher asked the class to bring something round. Tom brought a ball, and Anna brought an orange. Ben brought
nothing, but he drew a circle on the board. "That will do," said the teacher.

The teacher told the children to be quiet, and it became so quiet that they heard a snail crossing the window. They
watched it until the bell rang.

The student had read every book in the library but one. It stood on the highest shelf. When she opened it, all of its
pages were white. So she took her pen and began to write.

The doctor came to see the little boy. "Where does it hurt?" he asked. "Only when I go to school," said the boy. The
doctor laughed and told him to eat an apple and run.

The nurse had been busy all night. In the morning a patient gave her a flower that he had drawn on a piece of paper. She
put it on the wall, and there it still is.

The chef had burned the soup. He put some herbs on it and gave it a beautiful name. The guests asked for more, and he
has never been able to cook it again.

The computer wrote a poem about the moon. "It is nice," said the girl, "but have you ever seen the moon?" The computer
did not know what to answer. So she turned the screen towards the window.

The children asked the machine what it had learned. "I have read many stories," said the machine, "and now I guess how
they go on." "Then tell us one," they said. It began with a dog, and it ended when they were asleep.

The keys were not on the table, nor in the cabinet. Father looked in his coats, and Mother looked under the sofa. Then
the baby laughed, and something in the baby's hand rang like a bell.

The trophy was made of wood. The team had not won it, for they had lost every game. They had carved it themselves, for
the player who laughed most.

The king's cook had a mat in the kitchen on which a cat slept. One day the king came to see where his dinner was made,
and he stepped over the cat with great care. "Who is this?" he asked. "That," said the cook, "is the lady of the house."

The woman at the bank counted the money of the little boy. There were nine coins and a button. "The button is worth the
most," she said, and she gave it back to him.

The moon was round and bright. A wolf looked at it and wanted to howl, but he did not want to wake his children. So he
hummed.

The wind took the hat of the mayor and blew it over the roofs. It fell into a garden, where a hen was looking for a
place to lay her eggs. The mayor had to wait three weeks.
"""
STORIES = [" ".join(text.split()) for text in _TEXT.strip().split("\n\n")]

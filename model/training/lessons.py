"""Sentences that lessons on language models use, and sentences that use the same words.

The words of `LESSONS` are whole tokens of the story model, whatever it reads; the sentences themselves it never reads.
Some of the words are so rare in its stories that it would know them only as the beginnings of others (" mat" of
"mattress"). So it also reads `SENTENCES`, written for it, which show them as words.
"""

import re

from model.text.tokenizer import Tokenizer

LESSONS = (
    "The cat sat on the mat",
    "The cat sat on the mat because it was tired",
    "The animal didn't cross the street because it was too tired",
    "The animal didn't cross the street because it was too wide",
    "Time flies like an arrow",
    "Fruit flies like a banana",
    "The quick brown fox jumps over the lazy dog",
    "Data visualization empowers users to",
    "When Mary and John went to the store, John gave a drink to",
    "Once upon a time, there was a little girl named Lily",
    "The trophy didn't fit in the suitcase because it was too big",
    "I went to the bank to deposit my money",
    "She sat on the bank of the river",
    "The capital of France is Paris",
    "The doctor told the nurse that she was busy",
    "I love machine learning",
    "Attention is all you need",
    "The dog chased the cat because it was hungry",
    "My name is Anna and I live in London",
    "I am a student. I love to study. I will graduate soon.",
    "The teacher asked the student a question",
    "Alice gave Bob a book, and Bob thanked Alice",
    "One, two, three, four, five",
    "The movie was not good at all",
    "Hello world! How are you today?",
    "The dog barked at the cat. The dog barked at the",
    "The cats sit on the mats",
    "A transformer is a neural network that reads language as tokens",
    "The keys to the cabinet are on the table",
    "The chef cooked a delicious meal in the kitchen",
    "Computers learn from examples",
)
SENTENCES = """
She wiped her wet shoes on the mat and went inside. The mat was brown and rough.
A small rug is called a mat. We have one in front of the door.
The old dog slept on a mat by the fire all day long.
Put your boots on the mat, please. The floor is clean.
There was a mat of straw on the floor. The children sat down on it and listened.
He rolled up his mat and went home. Tomorrow he would bring it again.
"Where is the key?" she asked. It was under the mat, where it always was.
The kitten lay on a soft mat. It was warm, and soon the kitten was asleep.
Mother shook the mat in the garden, and the dust flew away with the wind.
The boys sat on their mats. The teacher told them a story about the sea.
Grandmother made a mat out of old shirts. It had every colour in it.
A bird had left a feather on the mat. The cat looked at it for a long time.
The wet mat hung over the fence. By noon it was dry.
Every child had a mat of its own, and after lunch they all lay down and slept.
The baby crawled from the mat to the table and laughed.
The mat is red. The chair is green. The door is white.
My cat likes the mat more than her basket. She sits on the mat in the morning and in the evening.
The puppy ran over the mat with muddy feet, and the mat was not clean any more.
They bought two new mats for the kitchen. One mat was blue, and the other was yellow.
The rabbit jumped on the mat and looked around. Nobody was there.
A mouse ran across the mat and hid behind the door.
The man at the door stood on the mat and waited. Then he rang the bell.
Our cat was tired. She lay on the mat and closed her eyes.
The cat was hungry, so it left its mat and went to look for milk.
On the mat sat a fat grey cat. It did not move when we came in.
The frog sat on a log, the hen sat in the straw, and the pig sat in the mud.
The cat sat by the window and watched the rain.
The cats sit in the sun and wash their faces.
The dog barked at the moon. The cat was not afraid of the dog.
The dog barked at the postman every morning, and every morning the postman laughed.
The dog barked at the stranger, but the stranger did not run.
A lazy fox lives in the wood. A quick brown horse jumps over the fence.
The horse jumps over the stream, and the lazy donkey walks through it.
Time goes by so fast when we play. Time is short when we are happy.
Time flies when you are having fun.
The arrow flew over the wall. An arrow is straight and thin.
The fruit flies sat on the old banana. Nobody wanted to eat that banana.
She ate a banana and gave the other banana to her brother.
Fruit is good for you. Fruit grows on trees.
Mary and John went to the park. John gave a flower to Mary, and Mary smiled.
Tom and Anna went to the shop. Anna gave the money to Tom.
When Lucy and Ben went to the lake, Ben gave a sandwich to Lucy.
After the race Peter and Sam were thirsty. Sam gave a drink to Peter.
The store was closed, so Mary and John went home without any bread.
The animal was too tired to cross the river. The street was too wide for the little animal.
The children didn't cross the street because the cars were too fast.
The old horse didn't move because it was too tired.
The trophy stood on the shelf. It was made of gold, and everybody wanted to see it.
She won a trophy at school. The trophy was so big that she could not carry it.
The suitcase was too small for all her clothes, so she took a bigger suitcase.
He put his shoes into the suitcase and closed it.
I took my money to the bank. At the bank a man counted it.
She went to the bank to deposit her money. You can deposit money at any bank.
The boat lay on the bank of the river. The bank was green, and the river was slow.
They sat on the bank and put their feet into the water.
The capital of England is London. The capital of Italy is Rome. The capital of Spain is Madrid.
Paris is a big city. Paris is in France, and many people live in Paris.
Berlin is the capital of Germany. Every country has a capital.
The doctor told the boy to stay in bed. The nurse told him a story.
The nurse was busy all day, and the doctor was busy all night.
The doctor asked the nurse for help, and the nurse came at once.
My name is Tom and I live in a small village.
My name is Lucy. I live in London with my mother.
I am a teacher. I love to read. I have many books.
I am a student at a big school. I love to study the stars.
She is a student. She will graduate next year. After that she will be a doctor.
We love to study together. We will graduate soon, and then we will travel.
The teacher asked the class a question, and one student knew the answer.
The student asked a question. "That is a good question," said the teacher.
Alice and Bob are friends. Alice gave Bob a pen, and Bob said thank you.
Bob thanked his aunt for the book. Alice thanked her, too.
One, two, three, here we go. Four, five, six, what a mix.
She counted the eggs: seven, eight, nine, ten. "One is missing," she said.
The movie was long, but it was good. We saw the movie twice.
The movie was not bad. The movie was not good. It was just a movie.
Hello! How are you? I am fine, thank you.
Hello, world! What a fine day it is today.
I love machines. A machine can do work for you, and some machines can learn.
Machine learning is how computers learn from what they are shown.
A computer learns from data. With more data it learns more.
Data is what we know, written down. A picture of data is called a visualization.
A visualization shows many numbers at once. Good visualization helps people to understand.
A good tool empowers people to do more. Reading empowers children.
The users of the machine wanted to know what it does.
Attention is what you need when you read. Pay attention to the words.
The teacher wanted our attention, and we looked at her.
A neural network is a machine that learns. It is made of numbers.
A transformer is a kind of neural network. It reads words and guesses the next word.
Language is made of words, and words are made of letters. A piece of a word can be a token.
The transformer cut the sentence into tokens and read them all at once.
The keys are in the cabinet. The cabinet is in the kitchen, and the kitchen is warm.
He lost the key to the cabinet. The keys were on the table all the time.
The chef cooked soup for us. It was a delicious meal, and we thanked the chef.
The meal was delicious. We ate it in the kitchen.
Computers are fast. Computers learn from many examples.
Once there was a little girl named Rose who lived by the sea.
Once upon a time an old man lived in a tall house. He had three sons and one cat.
The dog chased the ball because it wanted to play.
The cat chased the mouse because it was hungry. The mouse was faster.
The dog was hungry, and its bowl was empty. Then the boy came with a bone.
""".strip().splitlines()
# a word, or what stands before and after the apostrophe of a contraction
_WORD = re.compile(r"[A-Za-z]+")


def lesson_words() -> list[str]:
    """Every word of the lessons, in the order of the alphabet."""
    return sorted({word for sentence in LESSONS for word in _WORD.findall(sentence) if len(word) > 1})


def whole(tokenizer: Tokenizer) -> dict[str, int]:
    """How many of the words are one token, with and without a space before it; in how many sentences all are; and how
    many sentences of our own the model read."""
    words = lesson_words()
    return {
        "words": len(words),
        "whole_words": sum(all(len(tokenizer.encode(text)) == 1 for text in (word, f" {word}")) for word in words),
        "sentences": len(LESSONS),
        "whole_sentences": sum(not broken_words(tokenizer, sentence) for sentence in LESSONS),
        "own_sentences": len(SENTENCES),
    }


def broken_words(tokenizer: Tokenizer, sentence: str) -> list[str]:
    """The words of a sentence inside which one token ends and another begins."""
    cuts = {token.start for token in tokenizer.encode(sentence)}
    return [word[0] for word in _WORD.finditer(sentence) if cuts & set(range(word.start() + 1, word.end()))]

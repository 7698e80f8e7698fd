"""Sentences that lessons on language models use. Their words are whole tokens of the story model, whatever it reads."""

import re

from model.tokenizer import Tokenizer

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
# a word, or what stands before and after the apostrophe of a contraction
_WORD = re.compile(r"[A-Za-z]+")


def lesson_words() -> list[str]:
    """Every word of the lessons, in the order of the alphabet."""
    return sorted({word for sentence in LESSONS for word in _WORD.findall(sentence) if len(word) > 1})


def whole(tokenizer: Tokenizer) -> dict[str, int]:
    """How many of the words are one token, with and without a space before it; in how many sentences all are."""
    words = lesson_words()
    return {
        "words": len(words),
        "whole_words": sum(all(len(tokenizer.encode(text)) == 1 for text in (word, f" {word}")) for word in words),
        "sentences": len(LESSONS),
        "whole_sentences": sum(not broken_words(tokenizer, sentence) for sentence in LESSONS),
    }


def broken_words(tokenizer: Tokenizer, sentence: str) -> list[str]:
    """The words of a sentence inside which one token ends and another begins."""
    cuts = {token.start for token in tokenizer.encode(sentence)}
    return [word[0] for word in _WORD.finditer(sentence) if cuts & set(range(word.start() + 1, word.end()))]

"""Forty short texts as visitors type them, with every French answer that counts as right.

None of them is meant to be in the training pairs, and `in_training` says how many are. A translation is right if all of
it is one of the answers, where capital letters, the mark at the end, and the kind and number of spaces and apostrophes
do not count. An answer is a regular expression, for there are many ways to ask a question in French.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


class Typed(NamedTuple):
    """One text and its right translations."""

    kind: str
    english: str
    french: str  # a regular expression, in small letters, spaces single, no mark at the end


_WORDS = {
    "Hello": "bonjour|salut|allô",
    "cat": "((le|un) )?chat|((la|une) )?chatte",
    "dog": "((le|un) )?chien|((la|une) )?chienne",
    "house": "((la|une) )?maison",
    "water": "(l'|de l')?eau",
    "red": "(le )?rouges?",
    "beautiful": "beau|belle|beaux|belles|magnifiques?|superbes?",
    "tomorrow": "demain",
    "friend": "(l'|un )?ami|(l'|une )?amie|copain|copine",
    "window": "((la|une) )?fenêtre",
}
_QUESTIONS = {
    "Where is the bakery?": "où (est|se trouve|se situe) la boulangerie",
    "Where did you buy this hat?": "où (as-tu|avez-vous|(est-ce que )?(tu as|vous avez)) acheté ce chapeau",
    "Why is the baby crying?": "pourquoi (le bébé pleure(-t-il)?|est-ce que le bébé pleure|pleure le bébé)",
    "How old is your cousin?": "quel âge a (ton cousin|ta cousine|votre cousine?)"
    "|(ton cousin|votre cousin) a quel âge|quel âge (ton|votre) cousin a-t-il|quel âge (ta|votre) cousine a-t-elle",
    "Do you like strawberries?": "(aimes-tu|aimez-vous|(est-ce que )?(tu aimes|vous aimez)) les fraises",
    "Who painted this wall?": "qui (a peint|peignit|est-ce qui a peint) ce mur",
    "When does the museum open?": "quand (le musée ouvre(-t-il)?|ouvre le musée|est-ce (que le musée ouvre|qu'ouvre le "
    "musée))|à quelle heure (le musée ouvre(-t-il)?|ouvre le musée|est-ce que le musée ouvre)",
    "Can you carry my bag?": "(peux-tu|pouvez-vous|est-ce que (tu peux|vous pouvez)|tu peux|vous pouvez|pourrais-tu|"
    "pourriez-vous) porter mon sac",
    "Is it cold in the kitchen?": "(fait-il|il fait|est-ce qu'il fait) froid dans la cuisine"
    "|dans la cuisine,? (fait-il|il fait) froid",
    "How many cows do you have?": "combien (de vaches (as-tu|avez-vous|est-ce que (tu as|vous avez)|tu as|vous avez)"
    "|(as-tu|avez-vous) de vaches)|(tu as|vous avez) combien de vaches",
}
_DIGITS = {
    "I have 3 brothers and 2 sisters.": "j'ai (3|trois) frères et (2|deux) sœurs",
    "This book has 350 pages.": "ce livre (a|compte|contient|comporte|fait|possède) "
    "(350|trois[- ]cent[- ]cinquante) pages",
    "She was born in 1998.": "elle (est née|naquit) en (1998|mille neuf cent quatre-vingt-dix-huit)",
    "He is 45 years old.": "il (a|est âgé de) (45|quarante-cinq) ans",
    "The ticket costs 12 euros.": "(le|ce) (billet|ticket) (coûte|est à|vaut) (12|douze) (euros|€)",
    "The train leaves at 7:45.": "le train (part|partira|quitte) à (7|07|sept) ?(h|:|heures?) ?(45|quarante-cinq)"
    "|le train part à (8|huit) ?(h|heures) moins (le|un) quart",
    "We walked 18 kilometers.": "(nous (avons marché|marchâmes)|on a marché|nous avons (fait|parcouru)) (pendant )?"
    "(18|dix-huit) (kilomètres|km)( à pied)?",
    "There are 26 students in my class.": "il y a (26|vingt-six) (élèves|étudiants|étudiantes) dans ma classe"
    "|ma classe (a|compte) (26|vingt-six) (élèves|étudiants)",
    "My room is number 208.": "(ma chambre|ma pièce) (est|porte|a) (le numéro|la numéro|le|la|numéro|la chambre)? ?208",
    "Bus 64 is late.": "le (bus|car|bus numéro|bus n°) 64 (est|a) (en retard|du retard)",
}
_NAMES = {
    "My name is Anna.": "(je m'appelle|mon nom est|je me nomme|mon prénom est) anna",
    "Peter lives in Berlin.": "(peter|pierre) (vit|habite|demeure|réside) (à )?berlin",
    "Emma gave David a book.": "emma (a donné|donna|a offert|offrit) un livre à david|emma donna à david un livre"
    "|emma a donné à david un livre",
    "I met Lucas in Rome.": "(j'ai rencontré|je rencontrai|j'ai fait la connaissance de) lucas à rome",
    "Sarah is Daniel's sister.": "sarah est la sœur de daniel",
    "Mr. Baker is our teacher.": r"(m\.?|monsieur) baker est (notre|un de nos) (professeure?|enseignante?|prof"
    "|instituteur|maître)",
    "Nina and Oliver are playing in the garden.": "nina et oliver (jouent|sont en train de jouer) dans le jardin",
    "Have you seen Oscar?": "(as-tu vu|avez-vous vu|est-ce que (tu as|vous avez) vu|tu as vu|vous avez vu) oscar",
    "Julia speaks Spanish.": "julia parle (l')?espagnol",
    "I am going to Madrid with Leo.": "(je vais|je me rends|je pars|j'irai) à madrid avec leo",
}
TYPED = tuple(
    Typed(kind, english, french)
    for kind, texts in {"words": _WORDS, "questions": _QUESTIONS, "digits": _DIGITS, "names": _NAMES}.items()
    for english, french in texts.items()
)


def is_right(written: str, french: str) -> bool:
    """Whether a translation is one of the answers, by the rule above."""
    return re.fullmatch(french, plain(written)) is not None


def plain(text: str) -> str:
    """A text without what does not count."""
    text = unicodedata.normalize("NFC", text).lower().replace("’", "'").replace("oe", "œ")
    return " ".join(text.split()).rstrip(" .!?…")


def score(translate: Callable[[str], str], trained: Iterable[Sequence[str]]) -> dict:
    """How many of each kind are right, what was written for each text, and how many are among the pairs trained on."""
    written = {each: translate(each.english) for each in TYPED}
    right = {each: is_right(text, each.french) for each, text in written.items()}
    kinds = dict.fromkeys(each.kind for each in TYPED)
    seen = {plain(english) for english, *_ in trained}
    return {
        "right": sum(right.values()),
        "of": len(TYPED),
        "in_training": sum(plain(each.english) in seen for each in TYPED),
        **{kind: sum(ok for each, ok in right.items() if each.kind == kind) for kind in kinds},
        "written": {each.english: f"{text} {'✓' if right[each] else '✗'}" for each, text in written.items()},
    }

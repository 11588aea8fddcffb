"""Recordings that nobody trains on, by name, wherever a collection has them."""

from __future__ import annotations

_MUSDB18_TEST = """
AM Contra - Heart Peripheral; Al James - Schoolboy Facination; Angels In Amplifiers - I'm Alright; Arise - Run Run Run;
BKS - Bulldozer; BKS - Too Much; Ben Carrigan - We'll Talk About It All Tonight; Bobby Nobody - Stitch Up;
Buitraker - Revo X; Carlos Gonzalez - A Place For Us; Cristina Vane - So Easy; Detsky Sad - Walkie Talkie;
Enda Reilly - Cur An Long Ag Seol; Forkupines - Semantics; Georgia Wonder - Siren; Girls Under Glass - We Feel Alright;
Hollow Ground - Ill Fate; James Elder & Mark M Thompson - The English Actor; Juliet's Rescue - Heartbeats;
Little Chicago's Finest - My Own; Louis Cressy Band - Good Time; Lyndsey Ollard - Catching Up;
M.E.R.C. Music - Knockout; Moosmusic - Big Dummy Shake; Motor Tapes - Shore; Mu - Too Bright;
Nerve 9 - Pray For The Rain; PR - Happy Daze; PR - Oh No; Punkdisco - Oral Hygiene; Raft Monk - Tiring;
Sambasevam Shanmugam - Kaathaadi; Secretariat - Borderline; Secretariat - Over The Top;
Side Effects Project - Sing With Me; Signe Jakobsen - What Have You Done To Me; Skelpolu - Resurrection;
Speak Softly - Broken Man; Speak Softly - Like Horses; The Doppler Shift - Atrophy; The Easton Ellises - Falcon 69;
The Easton Ellises (Baumi) - SDRNR; The Long Wait - Dark Horses; The Mountaineering Club - Mallory;
The Sunshine Garcia Band - For I Am The Moon; Timboz - Pony; Tom McKenzie - Directions;
Triviul feat. The Fiend - Widow; We Fell From The Sky - Not You; Zeno - Signs
"""
"""The 50 test songs of MUSDB18 (Rafii et al. 2017), which are often copied into other collections."""

_OPEN_EVALUATION = """
Saber-FinalStep; Thomasso-AxeFromThe80s; Momo64-esp; Settel-InnerRecreation; Jousboxx-BuzzerBeater; EsoXLB-CPU;
hr3-caves; hr3-desert; hr3-hell; hr3-icyland; hr3-laboratory; hr3-rlyeh
"""
"""The songs of this project's own evaluation."""

_TEST_FOLDERS = frozenset({"test", "tests", "testing", "testset", "eval", "evaluation", "heldout"})
_VALID_FOLDERS = frozenset({"valid", "val", "validation", "dev"})


def bare(name: str) -> str:
    """A name as it is compared: letters and digits, without case."""
    return "".join(character for character in name.casefold() if character.isalnum())


_NAMES = frozenset(bare(name) for name in (_MUSDB18_TEST + ";" + _OPEN_EVALUATION).split(";"))


def is_held_out(*names: str) -> bool:
    """Whether one of the names a recording goes by is that of a test recording."""
    return any(bare(name) in _NAMES for name in names)


def is_test_folder(name: str) -> bool:
    """Whether a folder of this name holds a test split."""
    return bare(name) in _TEST_FOLDERS


def is_valid_folder(name: str) -> bool:
    """Whether a folder of this name holds a validation split."""
    return bare(name) in _VALID_FOLDERS

"""Words with an order that everybody knows, for analogies from letters to the world.

Each list has at least six words and no word stands in two lists, so that a few of its words name the list. Left out:
lists whose order is a matter of taste.
Source: the real-world sequences of Webb et al. 2023, arXiv:2212.09196; the lists are our own.
"""

WORD_TRANSFORMATIONS = ("succ", "pred", "add_letter", "sort")

SEQUENCES = (
    ("icy", "cold", "cool", "mild", "warm", "hot", "scorching"),
    ("minuscule", "tiny", "small", "medium", "large", "huge", "gigantic"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("january", "february", "march", "april", "may", "june", "july", "august"),
    ("second", "minute", "hour", "day", "week", "month", "year", "decade", "century"),
    ("drop", "puddle", "pond", "lake", "sea", "ocean"),
    ("never", "rarely", "sometimes", "often", "usually", "always"),
    ("baby", "toddler", "child", "teenager", "adult", "pensioner"),
    ("crawl", "stroll", "walk", "jog", "run", "sprint"),
    ("room", "house", "street", "district", "city", "country", "continent", "planet"),
    ("silent", "whispered", "quiet", "audible", "loud", "deafening"),
    ("dawn", "morning", "noon", "afternoon", "evening", "night", "midnight"),
)

"""Values shared by the models."""

# Marks context keys that only this addon's code may set. A client can put any key into
# the context of a call, but never this object.
INTERNAL = object()

# The relationship ladder, lowest step first.
RELATIONSHIP_LEVELS = [
    ("transactional", "Transactional"),
    ("preferred_supplier", "Preferred supplier"),
    ("partner", "Partner"),
    ("strategic_alliance", "Strategic alliance"),
]
LEVEL_NUMBERS = {
    level: number for number, (level, _) in enumerate(RELATIONSHIP_LEVELS, start=1)
}
# Salespeople move their accounts up to here; what lies above is proposed.
HIGHEST_FREE_LEVEL = LEVEL_NUMBERS["preferred_supplier"]

DECISION_LEVELS = [("top", "Top"), ("middle", "Middle"), ("working", "Working")]
STANCES = [
    ("champion", "Champion"),
    ("supporter", "Supporter"),
    ("neutral", "Neutral"),
    ("opponent", "Opponent"),
]
